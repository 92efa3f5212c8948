"""Official releases of Kubernetes, Helm and CoreDNS, checked against the SHA-256 published beside them."""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from lab.progress import step

if TYPE_CHECKING:
    from pathlib import Path

    from lab.progress import Progress

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_TIMEOUT = 4.0
"""Seconds without a byte; short, since a machine without internet builds instead."""


class Unavailable(Exception):  # noqa: N818 - a state of affairs, not an error of ours
    """There is no such release to be had from here."""


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:  # noqa: S310 - our own https addresses
            data: bytes = response.read()
            return data
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise Unavailable(f"{url.split('/')[2]}: {reason}") from error


def _checked(url: str, checksum_url: str) -> bytes:
    expected = _get(checksum_url).split()[0].decode()
    data = _get(url)
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected:
        raise Unavailable(f"{url}: SHA-256 is {actual}, published is {expected}")
    return data


def _member(url: str, checksum_url: str, path: str) -> bytes:
    """One file of an archive."""
    with tarfile.open(fileobj=io.BytesIO(_checked(url, checksum_url))) as members:
        try:
            member = members.extractfile(path)
        except KeyError:
            member = None
        if member is None:
            raise Unavailable(f"{url} holds no {path}")
        return member.read()


def release(name: str, version: str, target: Path, progress: Progress) -> None:
    """Write the official program to `target`. Raises Unavailable."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise Unavailable(f"none for {machine}")
    architecture = _ARCHITECTURES[machine]
    with step(f"Downloading {name} {version}", progress):
        if name == "helm":
            url = f"https://get.helm.sh/helm-{version}-linux-{architecture}.tar.gz"
            target.write_bytes(_member(url, f"{url}.sha256sum", f"linux-{architecture}/helm"))
        elif name == "coredns":
            base = f"https://github.com/coredns/coredns/releases/download/{version}"
            url = f"{base}/coredns_{version.removeprefix('v')}_linux_{architecture}.tgz"
            target.write_bytes(_member(url, f"{url}.sha256", "coredns"))
        else:
            url = f"https://dl.k8s.io/release/{version}/bin/linux/{architecture}/{name}"
            target.write_bytes(_checked(url, f"{url}.sha256"))
