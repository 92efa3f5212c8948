"""kubectl as a user runs it, against the tests' API server."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import binaries


class KubectlError(AssertionError):
    """kubectl failed; the message is what it told the user."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One kubeconfig, and a discovery cache of its own: another server on the same port has other kinds."""

    kubeconfig: Path
    cache: Path

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl printed. Raises KubectlError."""
        done = subprocess.run(
            [binaries.find("kubectl"), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlError(done.stderr)
        return done.stdout

    def create(self, manifest: dict[str, Any], *, dry_run: bool = True) -> dict[str, Any]:
        """The object as the API server would store it, or stored it. Raises KubectlError where it is refused."""
        options = ["--dry-run=server"] if dry_run else []
        created: dict[str, Any] = json.loads(
            self("create", "--output=json", "--filename=-", *options, stdin=json.dumps(manifest))
        )
        return created

    def refusal(self, manifest: dict[str, Any]) -> str:
        """What the user is told when the API server refuses the object."""
        try:
            self.create(manifest)
        except KubectlError as error:
            return str(error)
        raise AssertionError(f"accepted: {manifest['spec']}")

    def set_status(self, kind: str, name: str, status: dict[str, Any]) -> None:
        """Write the status as Herald does, through its subresource."""
        patch = json.dumps({"status": status})
        self("patch", kind, name, "--subresource=status", "--type=merge", f"--patch={patch}")

    def columns(self, *arguments: str) -> list[dict[str, str]]:
        """The rows that `kubectl get` prints, each by the heading of its columns."""
        heading, *rows = self("get", *arguments).splitlines()
        starts = [i for i, text in enumerate(heading) if text != " " and (i == 0 or heading[i - 1] == " ")]
        ends = [*starts[1:], None]
        spans = list(zip(starts, ends, strict=True))
        return [{heading[a:b].strip(): row[a:b].strip() for a, b in spans} for row in rows]
