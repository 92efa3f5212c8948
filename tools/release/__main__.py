"""Writes a version wherever it stands: `./dev release VERSION`."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from tools.pages import ROOT
from tools.release.changelog import release
from tools.release.versions import CHANGELOG, ReleaseError, parse, read, rewritten

NEXT_STEPS: Final = """
Look at `git diff`, run `./dev test`, commit and tag it; then docs/releases.md has the commands for image, chart and
bill of materials."""


def write(root: Path, version: str, day: date) -> list[str]:
    """Make a tree one of this version, released on this day; the files that were changed.

    Raises ReleaseError, and has written nothing then.
    """
    parse(version)
    before = read(root)
    after = rewritten(before, version)
    after[CHANGELOG] = release(before[CHANGELOG], version, day)
    changed = [path for path, text in after.items() if text != before[path]]
    for path in changed:
        (root / path).write_text(after[path])
    return changed


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: ./dev release VERSION", file=sys.stderr)
        return 2
    try:
        changed = write(ROOT, arguments[0], datetime.now(UTC).date())
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print("Written:", *changed, sep="\n  ")
    print(NEXT_STEPS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
