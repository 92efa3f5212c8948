"""Where labs keep their files, and how a kept lab is found again from another process."""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.errors import LabError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
_STATE = "lab.json"


def base_folder() -> Path:
    """The folder of all labs of this user; in memory where the machine has /dev/shm."""
    memory = Path("/dev/shm")  # noqa: S108 - only the parent of a folder only we may enter
    parent = memory if os.access(memory, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    return parent / f"heraldlb-labs-{os.getuid()}"


def new_name() -> str:
    return secrets.token_hex(2)


def create(name: str) -> Path:
    """Make the folder of a new lab. Raises LabError for an unfit name or one that is taken."""
    if not _NAME.fullmatch(name):
        raise LabError(f"lab name {name!r}: use up to 20 lower-case letters, digits and inner dashes")
    folder = base_folder() / name
    folder.parent.mkdir(mode=0o711, exist_ok=True)
    try:
        folder.mkdir(mode=0o711)
    except FileExistsError:
        raise LabError(f"a lab named {name!r} exists; `python -m lab down {name}` removes it") from None
    return folder


@dataclass(frozen=True, slots=True)
class State:
    """What must be known of a lab to take it over; all else is in the kernel, the registry and the API server."""

    name: str
    nodes: int
    kept: bool
    api_host: str
    api_port: int
    relay_port: int | None

    def save(self, folder: Path) -> None:
        unfinished = folder / f"{_STATE}.new"
        unfinished.write_text(json.dumps(asdict(self)))
        unfinished.rename(folder / _STATE)

    @classmethod
    def load(cls, folder: Path) -> State | None:
        """None while the lab is coming up."""
        try:
            return cls(**json.loads((folder / _STATE).read_text()))
        except FileNotFoundError:
            return None


def names() -> list[str]:
    """The labs there are, also those still coming up or half taken down."""
    base = base_folder()
    return sorted(path.name for path in base.iterdir() if path.is_dir()) if base.is_dir() else []


def kept() -> list[str]:
    """The labs that outlive their makers."""
    states = (State.load(base_folder() / name) for name in names())
    return [state.name for state in states if state is not None and state.kept]


def existing(name: str | None) -> tuple[Path, State]:
    """The lab of this name; without one, the only kept lab, else the only lab. Raises LabError that lists all."""
    there = names()
    if name is None:
        candidates = kept() or there
        if len(candidates) != 1:
            listed = ", ".join(there) or "none"
            raise LabError(f"say which lab you mean (there are: {listed}); `python -m lab up --keep` makes one")
        name = candidates[0]
    folder = base_folder() / name
    state = State.load(folder) if name in there else None
    if state is None:
        raise LabError(f"there is no lab named {name!r}; there are: {', '.join(there) or 'none'}")
    return folder, state
