"""Where Herald's version is written, in texts that others read. Pure but for `read`.

`version` in `pyproject.toml` is the one that counts; the others have to agree with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.pages import ROOT, pages

CHANGELOG: Final = "CHANGELOG.md"

_RELEASE: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")

_PLACES: Final = {
    "pyproject.toml": re.compile(r'^version = "(.+)"$', re.MULTILINE),
    "operator/heraldlb/__init__.py": re.compile(r'^__version__ = "(.+)"$', re.MULTILINE),
    "charts/heraldlb/Chart.yaml": re.compile(r"^(?:version|appVersion): (.+)$", re.MULTILINE),
    "Dockerfile": re.compile(r"^ARG VERSION=(.+)$", re.MULTILINE),
}
_ARTIFACT: Final = re.compile(r"\bheraldlb[:-](\d+\.\d+\.\d+)")
"""Image or packaged chart, on pages, in commands to be copied."""


class ReleaseError(Exception):
    """Why this cannot be released; for the user."""


@dataclass(frozen=True, slots=True)
class Mention:
    """The version as it stands somewhere: in which file, relative to the repository, and on which line."""

    path: str
    line: int
    version: str


def parse(text: str) -> tuple[int, int, int]:
    """A version that can be compared.

    Raises ReleaseError for anything but three numbers: what comes behind these, Python and Helm write differently.
    """
    found = _RELEASE.fullmatch(text)
    if not found:
        raise ReleaseError(f'"{text}" is no version of a release: write three numbers, as in 1.2.0')
    major, minor, patch = map(int, found.groups())
    return major, minor, patch


def read(root: Path = ROOT) -> dict[str, str]:
    """The text of every file that the version may stand in, and of the changelog, by its path below `root`."""
    paths = {*(root / name for name in _PLACES), *pages(root)}
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(paths)}


def mentions(files: Mapping[str, str]) -> Iterator[Mention]:
    """Every place in which the version stands. The changelog has none, since it tells of earlier ones, too."""
    for path, text in files.items():
        for found in _pattern(path).finditer(text) if path != CHANGELOG else ():
            yield Mention(path, text.count("\n", 0, found.start(1)) + 1, found[1])


def rewritten(files: Mapping[str, str], version: str) -> dict[str, str]:
    """The same files with another version in every such place."""
    return {path: text if path == CHANGELOG else _replaced(path, text, version) for path, text in files.items()}


def _pattern(path: str) -> re.Pattern[str]:
    return _PLACES.get(path, _ARTIFACT)


def _replaced(path: str, text: str, version: str) -> str:
    return _pattern(path).sub(lambda found: found[0].replace(found[1], version), text)
