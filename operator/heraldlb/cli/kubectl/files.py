"""Files that a command is given by `-f`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heraldlb.cli.kubectl.exits import CommandError, Exit

if TYPE_CHECKING:
    from heraldlb.migration.documents import Document

_ENDINGS = (".yaml", ".yml", ".json")


def read_files(names: Sequence[str]) -> list[Document]:
    """Every object in the files: `-` is standard input, a folder all its YAML and JSON. Raises CommandError."""
    from heraldlb.migration.documents import DocumentError, read

    try:
        return [document for name, content in _contents(names) for document in read(name, content)]
    except DocumentError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read: {error}", Exit.USAGE) from error


def _contents(names: Sequence[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        path = Path(name)
        if name == "-":
            yield "standard input", sys.stdin.read()
        elif path.is_dir():
            for inner in sorted(path.iterdir()):
                if inner.suffix in _ENDINGS:
                    yield str(inner), inner.read_text("utf-8")
        else:
            yield name, path.read_text("utf-8")
