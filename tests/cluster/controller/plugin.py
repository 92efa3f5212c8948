"""`kubectl herald`, run by kubectl as a user runs it, and what it reports before it is rendered."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heraldlb.api.objects import NamespacedName
from heraldlb.cli.kubectl.explain.reading import read_story
from heraldlb.cli.kubectl.explain.report import StoryReport
from heraldlb.kube.client import Api
from heraldlb.kube.credentials import load_as_kubectl
from lab import binaries

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plugin:
    """The plugin with somebody's credentials."""

    kubeconfig: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What `kubectl herald` prints, and its exit status."""
        scripts = Path(sys.executable).parent
        found = {"KUBECONFIG": str(self.kubeconfig), "PATH": f"{scripts}:{os.environ['PATH']}"}
        command = [str(binaries.find("kubectl")), "herald", *arguments]
        return subprocess.run(command, env=os.environ | found, capture_output=True, text=True, check=False)

    def document(self, *arguments: str) -> tuple[int, Body]:
        """Exit status and JSON."""
        done = self.run(*arguments, "--output=json")
        assert done.stdout, done.stderr
        body: Body = json.loads(done.stdout)
        return done.returncode, body

    def story(self, namespace: str, name: str) -> StoryReport:
        """What `explain` tells of a Service."""

        async def read() -> StoryReport:
            configuration, _ = await load_as_kubectl(str(self.kubeconfig), "")
            async with Api(configuration) as api:
                return await read_story(api, NamespacedName(namespace, name))

        return asyncio.run(read())
