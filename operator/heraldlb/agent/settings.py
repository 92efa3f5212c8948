"""What a user can set of the agent."""

from __future__ import annotations

from dataclasses import dataclass, field

from heraldlb.api.objects import NamespacedName
from heraldlb.forwarding.mode import Mode
from heraldlb.forwarding.node import ForwardingSettings
from heraldlb.forwarding.overlay import TunnelSettings
from heraldlb.speaker import constants

SPEAKER, FORWARDER = "speaker", "forwarder"
ROLES = (SPEAKER, FORWARDER)


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Settings of one agent process."""

    node_name: str
    """The name of this node's Node object."""
    roles: frozenset[str] = frozenset(ROLES)
    daemon_set: NamespacedName | None = None
    """What runs the agents: once it is deleted, their end leaves no rules. None: rules stay at every end."""
    membership_key_file: str = ""
    """File that holds the secret shared by all agents; read again when it changes."""
    membership_port: int = constants.MEMBERSHIP_PORT
    heartbeat_interval: float = constants.HEARTBEAT_INTERVAL
    """Seconds."""
    failure_timeout: float = constants.FAILURE_TIMEOUT
    """Seconds."""
    ignore_exclude_label: bool = False
    """Announce from nodes labelled `node.kubernetes.io/exclude-from-external-load-balancers`, too."""
    ignore_cordon: bool = False
    """Announce from nodes with `spec.unschedulable`, too."""
    answer_ping: bool = True
    """Answer ICMP echo requests to the addresses that are announced."""
    keep_connections: bool = True
    """Hand packets of connections under way to the node that had their address before."""
    forwarding_mode: Mode = Mode.AUTO
    """Who forwards Services; without the role `forwarder` it counts as `off`."""
    forwarding: ForwardingSettings = field(default_factory=ForwardingSettings)
    tunnel: TunnelSettings = field(default_factory=TunnelSettings)
    """To nodes on other network segments, where Services ask for surviving connections."""
