"""The changelog's sections. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tools.release.versions import ReleaseError, parse

if TYPE_CHECKING:
    from datetime import date

_UNRELEASED: Final = re.compile(r"^## Unreleased\n(?P<entries>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_RELEASED: Final = re.compile(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", re.MULTILINE)


def releases(changelog: str) -> list[str]:
    """The versions that it tells of, in its order."""
    return _RELEASED.findall(changelog)


def release(changelog: str, version: str, day: date) -> str:
    """What was unreleased as the section of a version, below an empty one for what comes next.

    Raises ReleaseError where nothing is unreleased, and for a version that is not above all others.
    """
    found = _UNRELEASED.search(changelog)
    if not found or not found["entries"].strip():
        raise ReleaseError('CHANGELOG.md has nothing under "## Unreleased": say there what the release brings')
    last = max(releases(changelog), key=parse, default=None)
    if last is not None and parse(version) <= parse(last):
        raise ReleaseError(f"{version} is not above {last}, which CHANGELOG.md has as the last release")
    start, end = found.span()
    section = f"## Unreleased\n\n## {version} - {day.isoformat()}\n{found['entries']}"
    return changelog[:start] + section + changelog[end:]
