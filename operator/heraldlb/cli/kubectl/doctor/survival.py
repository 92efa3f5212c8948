"""Whether connections are to survive the node that announces their address. Pure."""

from __future__ import annotations

from heraldlb.api.services import parse_service
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.forwarding.survivors import asks


def survival_wanted(seen: Seen) -> bool:
    """Of any Service: by its annotation, or because the installation says so for all."""
    if any(agent.is_told("HERALD_CONNECTION_SURVIVAL") for agent in seen.herald.agents):
        return True
    return any(asks(parse_service(raw)) for raw in seen.snapshot.services)
