"""What a node forwards, independent of how netfilter is told: virtual servers and their backends.

The words are those of IPVS: a *frontend* is what a client dials, a *backend* is where the connection goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Network, IPv6Network

from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import Family, IPAddress
from heraldlb.api.reasons import Reason
from heraldlb.api.services import Protocol

IPNetwork = IPv4Network | IPv6Network


class AddressKind(IntEnum):
    """Why an address belongs to a Service, best claim first.

    Anybody who may edit a Service can name any externalIP (CVE-2020-8554), so those yield to every address that the
    cluster itself handed out.
    """

    CLUSTER_IP = 0
    LOAD_BALANCER = 1
    NODE_PORT = 2
    EXTERNAL_IP = 3


class Masquerade(Enum):
    """Whose source address is replaced by the node's, so that answers come back through this node."""

    EVERYONE = "everyone"
    """Traffic from outside: the backend may be on a node that the client never talked to."""
    ALL_BUT_PODS = "all but pods"
    """Pods' addresses are routed everywhere in the cluster, and NetworkPolicies need them as they are."""


class Refusal(Enum):
    """What happens to a connection for which there is no backend."""

    REJECT = "reject"
    """Nobody serves this anywhere: TCP reset, or ICMP port unreachable."""
    DROP = "drop"
    """Others do serve it, but a Local traffic policy forbids sending it to them."""


class Pick(StrEnum):
    """What says which slot of a frontend a new connection gets. The values are parts of chains' names."""

    RANDOM = "random"
    TURN = "rr"
    """Each slot in its turn, counted for the frontend alone."""
    SOURCE = "sh"
    """A hash of the client's address."""
    DESTINATION = "dh"
    """A hash of the address that is dialled."""
    CONNECTION = "mh"
    """A hash of the client's address and port."""


@dataclass(frozen=True, slots=True)
class Frontend:
    """What a client dials. A node port is the frontend of that port on a node address."""

    address: IPAddress
    protocol: Protocol
    port: int


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a connection goes."""

    address: IPAddress
    port: int

    @property
    def key(self) -> tuple[int, int]:
        """Sorts the backends of one family the same way on every node."""
        return int(self.address), self.port


@dataclass(frozen=True, slots=True)
class Affinity:
    """`sessionAffinity: ClientIP`: new connections of a client go where its last one went."""

    group: int
    """128 bits. Frontends of one group share what they learn of a client, and choose from the same backends."""
    seconds: int
    """Since the client's last new connection, after which it is forgotten."""


@dataclass(frozen=True, slots=True)
class VirtualServer:
    """What becomes of new connections to one frontend."""

    kind: AddressKind
    masquerade: Masquerade
    backends: tuple[Backend, ...] = ()
    """The slots that connections are spread over; who is to get more has several. Empty: see `refusal`."""
    refusal: Refusal = Refusal.REJECT
    local_backends: tuple[Backend, ...] | None = None
    """`externalTrafficPolicy: Local`: what clients other than pods and this node get instead, their address kept.
    Empty: dropped. None: no difference is made."""
    affinity: Affinity | None = None
    sources: tuple[IPNetwork, ...] | None = None
    """The only clients that may connect, without overlaps; others are dropped. None: all may."""
    pick: Pick = Pick.RANDOM


@dataclass(frozen=True, slots=True)
class Candidate:
    """An endpoint that has connections which outlive their announcer, or that may get some."""

    backend: Backend
    node: str
    weight: int = 1
    """1 or more."""
    eligible: bool = True
    """It gets new connections."""
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class Objection:
    """A field of a Service that cannot be followed; the rest of the Service is forwarded."""

    reason: Reason
    message: str
    """For an Event: the field, what is wrong with it, what was done instead and what to write."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """What load balancers in front of the nodes ask at `spec.healthCheckNodePort`."""

    port: int
    endpoints: Mapping[Family, int]
    """Ready endpoints on this node, in each family that the Service has."""


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """The virtual servers of one Service on this node, both families."""

    id: NamespacedName
    created: str
    """RFC 3339; among Services that claim one frontend the oldest gets it."""
    servers: Mapping[Frontend, VirtualServer]
    local_endpoints: frozenset[IPAddress] = frozenset()
    """Endpoints on this node: one of them that reaches itself through the Service has to be masqueraded."""
    cluster_ips: frozenset[IPAddress] = frozenset()
    """Refused on every port and protocol that is not among `servers`."""
    objections: tuple[Objection, ...] = ()
    counted: frozenset[tuple[Protocol, Backend]] = frozenset()
    """Endpoints of which the scheduler goes by how many connections they have open."""
    quiesced: frozenset[Backend] = frozenset()
    """Endpoints that serve and get no new connections from here: those that they have go on."""
    health_check: HealthCheck | None = None
    survivors: Mapping[Frontend, tuple[Candidate, ...]] = field(default_factory=dict)
    """The frontends whose connections outlive the node that announces them, and their endpoints, on all nodes."""

    def rank(self, frontend: Frontend) -> tuple[int, str, NamespacedName]:
        """Orders the claims of several Services to one frontend, best first."""
        return self.servers[frontend].kind, self.created, self.id


@dataclass(frozen=True, slots=True)
class Frame:
    """What holds for all Services on this node; a change of it takes a full load."""

    pod_cidrs: tuple[IPNetwork, ...] = ()
    """Where pods on this node have their addresses. None of a family: pods cannot be told from outside clients."""
    masquerade_mark: int = 0x4000
    """The bit of the packet mark that says "masquerade". Set at the first packet of a connection in prerouting or
    output, cleared again in postrouting or input; the other bits are never touched. 0x4000 is the bit that network
    plugins already leave to whoever proxies Services (`--iptables-masquerade-bit` 14 of kube-proxy)."""
    service_cidrs: tuple[IPNetwork, ...] = ()
    """Where ClusterIPs are allocated from (ServiceCIDR objects): what goes to a free one is dropped."""
    seed: int = 0
    """32 bits, the same on every node of the cluster, for all that nodes must hash alike."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a node should forward. Made by `empty` and `replace`, which keep the indexes in step."""

    frame: Frame
    services: Mapping[NamespacedName, ServicePlan] = field(default_factory=dict)
    claims: Mapping[Frontend, tuple[NamespacedName, ...]] = field(default_factory=dict)
    """Who claims each frontend, best claim first."""
    hairpins: Mapping[IPAddress, int] = field(default_factory=dict)
    """Endpoints on this node, and how many Services have each."""
    cluster_ips: Mapping[IPAddress, int] = field(default_factory=dict)
    """Likewise, those of the Services."""

    def server(self, frontend: Frontend) -> VirtualServer | None:
        """The virtual server of the best claim to `frontend`, or None where nobody claims it."""
        claimants = self.claims.get(frontend)
        return self.services[claimants[0]].servers[frontend] if claimants else None

    def replace(self, changed: Iterable[ServicePlan] = (), removed: Iterable[NamespacedName] = ()) -> Plan:
        """The plan with some Services new or changed and some gone; its cost is mostly that of those Services."""
        incoming = {service.id: service for service in changed}
        outdated = {*removed, *incoming}
        if all(_claims_alike(self.services.get(id_), incoming.get(id_)) for id_ in outdated):
            # As when endpoints elsewhere change: copies of the indexes would cost most of the time.
            return Plan(self.frame, {**self.services, **incoming}, self.claims, self.hairpins, self.cluster_ips)
        services, claims = dict(self.services), dict(self.claims)
        hairpins, cluster_ips = dict(self.hairpins), dict(self.cluster_ips)
        for id_ in outdated:
            if outgoing := services.pop(id_, None):
                _withdraw(outgoing, claims)
                _count(hairpins, outgoing.local_endpoints, -1)
                _count(cluster_ips, outgoing.cluster_ips, -1)
        services.update(incoming)
        for service in incoming.values():
            for frontend in service.servers:
                rivals = claims.get(frontend, ())
                claims[frontend] = (
                    tuple(sorted((*rivals, service.id), key=lambda id_: services[id_].rank(frontend)))
                    if rivals
                    else (service.id,)
                )
            _count(hairpins, service.local_endpoints, 1)
            _count(cluster_ips, service.cluster_ips, 1)
        return Plan(self.frame, services, claims, hairpins, cluster_ips)

    def only(self, ids: Iterable[NamespacedName]) -> Plan:
        """The plan of some of its Services."""
        return Plan(self.frame).replace(self.services[id_] for id_ in ids)


def _claims_alike(before: ServicePlan | None, after: ServicePlan | None) -> bool:
    """Whether both are there and make the same entries in the indexes of a plan."""
    return (
        before is not None
        and after is not None
        and before.created == after.created
        and before.local_endpoints == after.local_endpoints
        and before.cluster_ips == after.cluster_ips
        and before.servers.keys() == after.servers.keys()
        and all(server.kind == after.servers[frontend].kind for frontend, server in before.servers.items())
    )


def _withdraw(service: ServicePlan, claims: dict[Frontend, tuple[NamespacedName, ...]]) -> None:
    for frontend in service.servers:
        if rest := tuple(id_ for id_ in claims[frontend] if id_ != service.id):
            claims[frontend] = rest
        else:
            del claims[frontend]


def _count(counts: dict[IPAddress, int], addresses: Iterable[IPAddress], step: int) -> None:
    for address in addresses:
        counts[address] = counts.get(address, 0) + step
        if not counts[address]:
            del counts[address]
