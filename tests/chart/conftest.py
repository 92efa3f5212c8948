"""The chart as Helm renders it."""

from __future__ import annotations

import functools
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


@functools.cache
def template(*settings: str, kubernetes: str = "v1.31.0") -> subprocess.CompletedProcess[str]:
    options = ["--namespace", NAMESPACE, "--kube-version", kubernetes]
    return helm("template", "heraldlb", str(CHART), *options, *(f"--set={setting}" for setting in settings))


def rendered(*settings: str, kubernetes: str = "v1.31.0") -> tuple[Objects, Objects]:
    """What settings (`KEY=VALUE`) render to, by kind and name: objects of the release, and those of its hooks."""
    done = template(*settings, kubernetes=kubernetes)
    assert done.returncode == 0, done.stderr
    release: Objects = {}
    hooks: Objects = {}
    for manifest in yaml.safe_load_all(done.stdout):
        if manifest:
            metadata = manifest["metadata"]
            kept = hooks if "helm.sh/hook" in metadata.get("annotations", {}) else release
            assert (manifest["kind"], metadata["name"]) not in kept
            kept[manifest["kind"], metadata["name"]] = manifest
    return release, hooks


@pytest.fixture(scope="session")
def render() -> Render:
    """The release's objects that settings (`KEY=VALUE`) render to, by kind and name."""
    return lambda *settings: rendered(*settings)[0]


@pytest.fixture(scope="session")
def defaults(render: Render) -> Objects:
    return render()


@pytest.fixture(scope="session")
def hooks() -> Objects:
    """What is there while an upgrade, or `helm test`, runs; by default settings."""
    return rendered()[1]
