"""The chart as Helm renders it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import binaries

CHART = Path(__file__).parents[2] / "charts" / "heraldlb"
NAMESPACE = "herald-system"

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What Helm said, whether it succeeded or not."""
    return subprocess.run(
        [binaries.find("helm"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def template(*settings: str) -> subprocess.CompletedProcess[str]:
    # A Helm that was built rather than released believes in a Kubernetes older than any the chart allows.
    options = ["--namespace", NAMESPACE, "--kube-version", "v1.31.0"]
    return helm("template", "heraldlb", str(CHART), *options, *(f"--set={setting}" for setting in settings))


@pytest.fixture(scope="session")
def render() -> Render:
    """The objects that settings (`KEY=VALUE`) render to, by kind and name."""

    def objects(*settings: str) -> Objects:
        done = template(*settings)
        assert done.returncode == 0, done.stderr
        manifests = [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
        return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}

    return objects


@pytest.fixture(scope="session")
def defaults(render: Render) -> Objects:
    return render()
