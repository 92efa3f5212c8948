"""The last step of starting a container: enter its view of the machine, give up privileges, become its program.

Run as `python -S -m lab.kubelet.sandbox SPEC-FILE`, where a Sandbox is stored as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.kubelet import capabilities
from lab.kubelet.file_view import FileView, Volume
from lab.namespaces import unshare

_CLONE_NEWUTS = 0x0400_0000
FAILED = 128
"""The exit status when the program could not be started; the reason is on standard error."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One container's process, ready to be started."""

    argv: list[str]
    environment: dict[str, str]
    directory: str
    hostname: str
    volumes: list[Volume]
    needed: list[str]
    """Paths the program lives in, that must stay reachable."""
    user: int
    group: int
    groups: list[int]
    capabilities: list[str]
    privileged: bool
    no_new_privileges: bool
    read_only_root: bool

    def store(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Sandbox:
        data = json.loads(path.read_text())
        data["volumes"] = [Volume(**volume) for volume in data["volumes"]]
        return cls(**data)


def _set_hostname(name: str) -> None:
    unshare(_CLONE_NEWUTS)
    encoded = name.encode()
    ctypes.CDLL(None).sethostname(encoded, len(encoded))


def enter(sandbox: Sandbox) -> None:
    """Become the program. Does not return; raises OSError or ValueError if it cannot."""
    _set_hostname(sandbox.hostname)
    view = FileView(sandbox.user, sandbox.needed)
    view.build(sandbox.volumes, read_only_root=sandbox.read_only_root, privileged=sandbox.privileged)
    if not sandbox.privileged:
        capabilities.limit(sandbox.capabilities)
    capabilities.become(sandbox.user, sandbox.group, sandbox.groups)
    if sandbox.no_new_privileges:
        capabilities.forbid_new_privileges()
    os.chdir(sandbox.directory)
    os.execvpe(sandbox.argv[0], sandbox.argv, sandbox.environment)  # noqa: S606 - the purpose of it all


def main(spec: str) -> int:
    path = Path(spec)
    sandbox = Sandbox.load(path)
    path.unlink()
    try:
        enter(sandbox)
    except (OSError, ValueError) as error:
        print(f"cannot start {sandbox.argv[0]}: {error}", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
