"""Versions of Herald's parts, and of the kernels below them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from heraldlb.cli.kubectl import findings
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.findings import Finding, Severity, listed
from heraldlb.cli.kubectl.installation import Instance

_OLDEST_KERNEL: Final = (5, 6)
"""The first whose nftables has sets of ranges with several fields, in which source ranges are kept."""


def parts(seen: Seen) -> Iterator[Finding]:
    """Controllers, agents and this plugin."""
    yield from findings.of_versions(seen.herald)
    running = seen.herald.versions
    if running and running != (seen.version,) and seen.version not in running:
        message = f"this plugin is {seen.version}, and {' and '.join(running)} runs in the cluster"
        yield Finding(Severity.NOTICE, "versions", message, f"install the plugin of version {running[-1]}")


def behind_their_label(seen: Seen) -> Iterator[Finding]:
    """Agents that say another version of themselves than their pod's label: an image that was changed by hand."""
    for each in seen.facts:
        agent: Instance | None = seen.herald.agent_on(each.node)
        if agent is not None and agent.version and each.version and agent.version != each.version:
            message = f"its agent is {each.version}, and its pod is labelled {agent.version}"
            remedy = "install the chart whose version is that of the image"
            yield Finding(Severity.NOTICE, f"node {each.node}", message, remedy)


def kernels(seen: Seen) -> Iterator[Finding]:
    """Kernels that lack what rules are made of."""
    old = [f"{each.node} ({each.kernel})" for each in seen.facts if _numbers(each.kernel) < _OLDEST_KERNEL]
    if old:
        wanted = ".".join(map(str, _OLDEST_KERNEL))
        message = (
            f"{listed(old)}: older than Linux {wanted}, whose nftables is the first with all that is asked of it"
        )
        yield Finding(Severity.WRONG, "kernels", message, f"update the nodes' kernels to {wanted} or later")


def _numbers(release: str) -> tuple[int, int]:
    """As large as any where the release is not written as Linux writes it."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else _OLDEST_KERNEL
