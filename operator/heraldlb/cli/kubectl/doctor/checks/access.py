"""What the credentials in use may not do. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.findings import Finding, Severity


def rights(seen: Seen) -> Iterator[Finding]:
    """What an examination needs and the API server would refuse."""
    for right in seen.denied:
        resource = f"{right.resource}/{right.subresource}" if right.subresource else right.resource
        where = f" in {right.namespace}" if right.namespace else ""
        message = f"these credentials may not {right.verb} {resource}{where}, which would tell {right.purpose}"
        yield Finding(Severity.NOTICE, "access", message, f"ask for the right: {right.question}")
