"""Runs the commands the demo shows, as they are shown."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Final

from lab import binaries
from lab.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path

    from lab.demo.terminal import Terminal
    from lab.lab import Lab

_ROOT_PROMPT, _CLIENT_PROMPT = "$", "client$"
_TIMEOUT: Final = 20.0


class ShownError(LabError):
    """A command that was shown did not do what the demo is about. Its output has been shown, too."""


class Shell:
    """A user's shell on this machine with `kubectl` set up, and one on the lab's client host."""

    def __init__(self, lab: Lab, terminal: Terminal, directory: Path) -> None:
        """`directory`: where commands run, and to which the files they name belong."""
        self._lab = lab
        self._terminal = terminal
        self._directory = directory
        self._tools = lab.folder / "bin"

    def set_up(self) -> None:
        """Put kubectl where `path` says."""
        self._tools.mkdir(exist_ok=True)
        (self._tools / "kubectl").symlink_to(binaries.find("kubectl").absolute())

    @property
    def path(self) -> Path:
        """A folder to have first in PATH."""
        return self._tools

    def run(self, command: str) -> str:
        """Show a command and what it prints. Raises ShownError if it fails."""
        environment = os.environ | {
            "KUBECONFIG": str(self._lab.kubeconfig),
            "KUBECACHEDIR": str(self._lab.folder / "kubectl"),
            "PATH": f"{self._tools}:{os.environ.get('PATH', os.defpath)}",
        }
        self._terminal.command(_ROOT_PROMPT, command)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self._directory,
            env=environment,
            timeout=_TIMEOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        return self._shown(command, done)

    def curl(self, address: str, port: int = 80) -> str:
        """Ask a web server from the client host, shown. Raises ShownError if it does not answer."""
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}/" if port == 80 else f"http://{host}:{port}/"
        argv = ["curl", "-sS", "--max-time", "3", url]
        command = shlex.join(argv)
        self._terminal.command(_CLIENT_PROMPT, command)
        return self._shown(command, self._lab.client.exec(argv, check=False))

    def _shown(self, command: str, done: subprocess.CompletedProcess[str]) -> str:
        self._terminal.output(done.stdout)
        self._terminal.output(done.stderr)
        if done.returncode != 0:
            raise ShownError(f"`{command}` ended with {done.returncode}")
        return done.stdout
