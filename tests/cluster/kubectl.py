"""kubectl as a user runs it, against the tests' API server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from lab.cluster import Cluster, KubectlError


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl of one cluster."""

    cluster: Cluster

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl printed. Raises KubectlError, whose message is what it told the user."""
        return self.cluster.kubectl(*arguments, input=stdin)

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
