"""What the node lacks for forwarding. Reads, never writes: /proc/sys is read-only in the agent's Pod."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heraldlb.api.ranges import FAMILIES, Family

FORWARDING: Final[dict[Family, str]] = {
    "IPv4": "net.ipv4.ip_forward",
    "IPv6": "net.ipv6.conf.all.forwarding",
}
BE_LIBERAL: Final = "net.netfilter.nf_conntrack_tcp_be_liberal"
LOOSE: Final = "net.netfilter.nf_conntrack_tcp_loose"
FIXED_KERNEL: Final = (6, 1)
"""From here on packets that conntrack finds invalid no longer leave untranslated and reset the connection."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to set right on the node."""

    blocking: bool
    """Services are not reachable until it is done; otherwise only some connections suffer."""
    subject: str
    message: str


def preflight(
    release: str, families: Iterable[Family] = FAMILIES, proc_sys: Path = Path("/proc/sys")
) -> tuple[Finding, ...]:
    """What is amiss on a node of kernel `release` (`os.uname().release`) that should forward `families`."""
    findings = [
        Finding(
            True,
            setting,
            f"{setting} is {_read(proc_sys, setting) or 'absent'}: {family} packets are not forwarded to pods. "
            f"Set it on the node: sysctl -w {setting}=1",
        )
        for family, setting in FORWARDING.items()
        if family in families and _read(proc_sys, setting) != "1"
    ]
    if _version(release) < FIXED_KERNEL and _read(proc_sys, BE_LIBERAL) != "1":
        findings.append(
            Finding(
                False,
                BE_LIBERAL,
                f"{BE_LIBERAL} is not 1: on kernels before 6.1 long transfers through a Service may be reset. "
                f"Set it on the node: sysctl -w {BE_LIBERAL}=1",
            )
        )
    if _read(proc_sys, LOOSE) == "0":
        findings.append(
            Finding(
                False,
                LOOSE,
                f"{LOOSE} is 0: connections under way break when their address moves to this node. "
                f"Set it on the node: sysctl -w {LOOSE}=1",
            )
        )
    return tuple(findings)


def _read(proc_sys: Path, setting: str) -> str:
    try:
        return proc_sys.joinpath(*setting.split(".")).read_text().strip()
    except OSError:
        return ""


def _version(release: str) -> tuple[int, int]:
    numbers = release.split("-")[0].split(".")
    try:
        return int(numbers[0]), int(numbers[1])
    except (IndexError, ValueError):
        return 0, 0
