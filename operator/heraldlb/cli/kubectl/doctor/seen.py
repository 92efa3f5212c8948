"""Everything that was read for an examination of the cluster. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from heraldlb.cli.kubectl.doctor.rights import Right
from heraldlb.cli.kubectl.doctor.workloads import Workload
from heraldlb.cli.kubectl.installation import Installation
from heraldlb.cli.kubectl.snapshot import Snapshot
from heraldlb.examination.facts import NodeFacts
from heraldlb.examination.survey import Question, Survey


@dataclass(frozen=True, slots=True)
class Reading:
    """A clock that was read from afar."""

    ahead: float
    """Seconds by which it is ahead of this machine's; negative: behind."""
    margin: float
    """Seconds by which that may be wrong, since the answer took its time."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What one agent told of its node."""

    facts: NodeFacts
    clock: Reading


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What one agent was asked to find out on its network, and what it found."""

    question: Question
    survey: Survey


@dataclass(frozen=True, slots=True)
class Beside:
    """Other load balancers, as far as the cluster shows them."""

    workloads: tuple[Workload, ...] = ()
    cilium_pools: tuple[str, ...] = ()
    """Names of the CiliumLoadBalancerIPPools that are not disabled."""
    cilium_default: str = ""
    """Which Services without a class Cilium takes: `default-lb-service-ipam` of its ConfigMap; empty: not said."""
    unread: str = ""
    """What could not be read of this, and why; empty: all was."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the checks go by."""

    snapshot: Snapshot
    """Every kind but `slices`, `namespaces` and `events`."""
    herald: Installation
    version: str
    """Of this program."""
    node: str = ""
    """The only node that is looked at; empty: all of them."""
    examined: Mapping[str, Examined] = field(default_factory=dict)
    """By node."""
    unasked: Mapping[str, str] = field(default_factory=dict)
    """Nodes whose agent could not be asked, and why."""
    surveyed: Mapping[str, Surveyed] = field(default_factory=dict)
    """By the node that was asked to find something out."""
    unsurveyed: Mapping[str, str] = field(default_factory=dict)
    """Nodes that could not be asked that, and why."""
    probes: bool = True
    """Whether anything was to be asked of the network."""
    beside: Beside = Beside()
    denied: tuple[Right, ...] = ()
    """What these credentials lack of what an examination needs."""
    server: Reading | None = None
    """The API server's clock; None: its answers bear no date."""

    @property
    def facts(self) -> tuple[NodeFacts, ...]:
        """What the agents told, by the nodes' names."""
        return tuple(self.examined[name].facts for name in sorted(self.examined))
