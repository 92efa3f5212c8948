"""Where the lab's programs come from.

In order: `KUBEBUILDER_ASSETS`; PATH, if it runs and is recent enough; our cache; the official release; a build
through Go modules. The last is pinned to the byte of its sources by `lab/tools/*/go.sum`. An official release is
held against the checksum published beside it, over TLS: that guards against a broken download, not against a
broken publisher.

The cache is `$HERALD_CACHE`, else `$XDG_CACHE_HOME/heraldlb`, else `~/.cache/heraldlb`; its `bin` holds files named
NAME-VERSION.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab import download, go_build
from lab.errors import LabError
from lab.progress import to_stderr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.progress import Progress

KUBERNETES_VERSION: Final = "v1.36.3"
HELM_VERSION: Final = "v3.22.0"
COREDNS_VERSION: Final = "v1.15.0"

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.\d+")


class BinaryError(LabError):
    """A program the lab needs cannot be had; says what to install."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program: what we fetch, and what we accept of the machine's own."""

    name: str
    version: str
    floor: tuple[int, int]
    """The oldest (major, minor) taken from PATH."""
    version_arguments: tuple[str, ...]
    module: str
    """The folder below lab/tools whose Go module builds it."""
    package: str


def _kubernetes(name: str, floor: tuple[int, int], *version_arguments: str) -> Program:
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Program(name, KUBERNETES_VERSION, floor, version_arguments, "kubernetes", package)


_PROGRAMS: Final = {
    program.name: program
    for program in (
        _kubernetes("kube-apiserver", (1, 31), "--version"),
        _kubernetes("kube-controller-manager", (1, 31), "--version"),
        _kubernetes("kube-proxy", (1, 31), "--version"),
        _kubernetes("kubectl", (1, 29), "version", "--client"),
        Program("helm", HELM_VERSION, (3, 15), ("version", "--short"), "helm", "helm.sh/helm/v3/cmd/helm"),
        Program("coredns", COREDNS_VERSION, (1, 11), ("-version",), "coredns", "heraldlb.io/lab/tools/coredns"),
    )
}


_PACKAGED: Final = {
    "etcd": "etcd-server",
    "nginx": "nginx",
    "iptables": "iptables",
    "iperf3": "iperf3",
    "prometheus": "prometheus",
    "promtool": "prometheus",
}
"""Programs that only the distribution has, and what Debian calls the package."""

_EVERY_LAB: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm")


def cache_folder() -> Path:
    """Where we keep what took long to get."""
    if own := os.environ.get("HERALD_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "heraldlb"


def _version_of(path: Path, arguments: tuple[str, ...]) -> tuple[int, int] | None:
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout)
    return (int(found[1]), int(found[2])) if done.returncode == 0 and found else None


def _installed(program: Program) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidates = [Path(assets) / program.name] if assets else []
    if on_path := shutil.which(program.name):
        candidates.append(Path(on_path))
    for candidate in candidates:
        version = _version_of(candidate, program.version_arguments)
        if version is not None and version >= program.floor:
            return candidate
    return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of one cache entry, so that two labs do not fetch it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(program: Program, target: Path, progress: Progress) -> None:
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            download.release(program.name, program.version, unfinished, progress)
        except download.Unavailable as error:
            progress(f"{program.name} {program.version}: no official release ({error}); building it")
            go_build.build(program.module, program.package, program.version, unfinished, cache_folder(), progress)
        unfinished.chmod(0o755)
        if _version_of(unfinished, program.version_arguments) is None:
            raise BinaryError(f"{program.name} {program.version} was fetched, but does not run on this machine")
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _packaged(name: str) -> Path:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and (Path(assets) / name).exists():
        return Path(assets) / name
    if found := shutil.which(name):
        return Path(found)
    raise BinaryError(f"{name} is not on PATH: install it, on Debian with `apt-get install {_PACKAGED[name]}`")


@functools.cache
def find(name: str, progress: Progress = to_stderr) -> Path:
    """The program of this name: one of the distribution's, coredns, helm, or a part of Kubernetes.

    May take minutes the first time on a machine, and reports progress then. Raises LabError.
    """
    if name in _PACKAGED:
        return _packaged(name)
    program = _PROGRAMS[name]
    if installed := _installed(program):
        return installed
    target = cache_folder() / "bin" / f"{program.name}-{program.version}"
    if not target.exists():
        with _locked(target):
            if not target.exists():
                _fetch(program, target, progress)
    return target


def find_for_lab(progress: Progress = to_stderr) -> None:
    """Have at hand what every lab runs. Raises as `find` does."""
    for name in _EVERY_LAB:
        find(name, progress)


def find_all(progress: Progress = to_stderr) -> None:
    """Have every program at hand, so that nothing later is slow. Raises as `find` does."""
    for name in (*_PACKAGED, *_PROGRAMS):
        find(name, progress)
