"""What Kubernetes promises about a Service on a node, as packets: one table, for the tracer and for real packets.

The network is that of `tests/lab/forwarding_net`. Each line of a case is one connection: who dials what, and how it
ends. `GATEWAY` is where a packet goes that the nodes leave alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from ipaddress import ip_address, ip_network
from typing import Any, Final, NamedTuple

from heraldlb.api.endpoints import Endpoint, EndpointPort, EndpointSlice
from heraldlb.api.group import CONNECTION_SURVIVAL_ANNOTATION
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import Protocol, Service, ServicePort
from heraldlb.forwarding.model import Frame, Plan
from heraldlb.forwarding.node import NodeView
from heraldlb.forwarding.plan import make_plan
from tests.unit.forwarding.builders import WEB, service, slice_of

NODES = ("node-1", "node-2")
"""Those of the cases; the network may have a third."""
CLIENT: dict[Family, str] = {"IPv4": "192.168.77.100", "IPv6": "fd77::100"}
NODE_ADDRESS: dict[Family, dict[str, str]] = {
    "IPv4": {"node-1": "192.168.77.1", "node-2": "192.168.77.2", "node-3": "192.168.77.3"},
    "IPv6": {"node-1": "fd77::1", "node-2": "fd77::2", "node-3": "fd77::3"},
}
BRIDGE: dict[Family, dict[str, str]] = {
    "IPv4": {"node-1": "10.244.1.1", "node-2": "10.244.2.1"},
    "IPv6": {"node-1": "fd00:244:1::1", "node-2": "fd00:244:2::1"},
}
"""The nodes' addresses towards their pods."""
POD: dict[Family, dict[str, str]] = {
    "IPv4": {"pod-1": "10.244.1.5", "pod-2": "10.244.2.5", "pod-3": "10.244.3.5"},
    "IPv6": {"pod-1": "fd00:244:1::5", "pod-2": "fd00:244:2::5", "pod-3": "fd00:244:3::5"},
}
VIP: dict[Family, str] = {"IPv4": "172.16.0.1", "IPv6": "fd00:16::1"}
CLUSTER_IP: dict[Family, str] = {"IPv4": "10.96.0.1", "IPv6": "fd00:96::1"}
FREE_IP: dict[Family, str] = {"IPv4": "10.96.0.99", "IPv6": "fd00:96::99"}
"""Of a ServiceCIDR, and no Service's."""
EXTERNAL_IP: dict[Family, str] = {"IPv4": "203.0.113.1", "IPv6": "2001:db8::1"}
SERVICE_CIDRS: Final = ("10.96.0.0/16", "fd00:96::/112")
NODE_PORT, TARGET, OTHER_TARGET = 30080, 8080, 8081


class End(Enum):
    """How a connection ends that reaches no backend."""

    REJECTED = auto()
    DROPPED = auto()
    GATEWAY = auto()
    """The packet leaves the node as it came, or reaches the node itself."""


REJECTED, DROPPED, GATEWAY = End


class To(NamedTuple):
    """Each of these backends, and no other, is reached; all see the client's address, or all do not."""

    backends: frozenset[str]
    """`pod-1`, or `pod-1:8081` where the port is not the usual one."""
    kept: bool


def kept(*backends: str) -> To:
    return To(frozenset(backends), kept=True)


def masqueraded(*backends: str) -> To:
    return To(frozenset(backends), kept=False)


class Dial(NamedTuple):
    """One connection. `target`: `vip`, `cluster-ip`, `free-ip`, `external-ip`, or a node's name."""

    source: str
    target: str
    port: int
    end: To | End
    protocol: Protocol = "TCP"
    families: tuple[Family, ...] = FAMILIES


@dataclass(frozen=True, slots=True)
class Case:
    """A cluster, and what comes of connections in it."""

    name: str
    services: Mapping[NamespacedName, tuple[Service, tuple[EndpointSlice, ...]]]
    dials: tuple[Dial, ...]
    zones: Mapping[str, str] = field(default_factory=dict)
    """Of the nodes."""

    def plan(self, node: str) -> Plan:
        """What that node forwards."""
        seen = replace(view(node), zone=self.zones.get(node, ""))
        services = [subject for subject, _ in self.services.values()]
        return make_plan(services, {id_: slices for id_, (_, slices) in self.services.items()}, seen, frame(node))


def view(node: str) -> NodeView:
    """The node as the planner sees it."""
    number = node.removeprefix("node-")
    own = tuple(ip_address(addresses[node]) for addresses in NODE_ADDRESS.values())
    return NodeView(
        node,
        node_port_addresses=own,
        pod_cidrs=(ip_network(f"10.244.{number}.0/24"), ip_network(f"fd00:244:{number}::/64")),
        addresses=own,
    )


def frame(node: str) -> Frame:
    """What all Services have in common."""
    return Frame(view(node).pod_cidrs, service_cidrs=tuple(map(ip_network, SERVICE_CIDRS)), seed=7)


def address_of(name: str, family: Family) -> str:
    """The address of a host or a target of `Dial`."""
    named = {"vip": VIP, "cluster-ip": CLUSTER_IP, "free-ip": FREE_IP, "external-ip": EXTERNAL_IP, "client": CLIENT}
    if name in named:
        return named[name][family]
    return {**NODE_ADDRESS[family], **POD[family]}[name]


def web(protocol: Protocol = "TCP", **fields: Any) -> Service:
    """A dual-stack LoadBalancer Service with every kind of address."""
    return service(
        **{
            "type": "LoadBalancer",
            "cluster_ips": tuple(CLUSTER_IP.values()),
            "ingress": tuple(VIP.values()),
            "external_ips": tuple(EXTERNAL_IP.values()),
            "ports": (ServicePort("http", protocol, 80, NODE_PORT),),
            **fields,
        }
    )


def pods(*names: str, **fields: Any) -> list[Endpoint]:
    """Both addresses of each pod, or of a node for what runs in its network, as endpoints."""
    return [
        Endpoint(ip_address(address_of(name, family)), name.replace("pod", "node"), **fields)
        for name in names
        for family in FAMILIES
    ]


def draining(*names: str) -> list[Endpoint]:
    return pods(*names, ready=False, serving=True, terminating=True)


def case(name: str, subject: Service, endpoints: list[Endpoint], *dials: Dial, **fields: Any) -> Case:
    """A case of one Service whose endpoints all listen on TARGET."""
    ports = tuple(EndpointPort(port.name, port.protocol, TARGET) for port in subject.ports)
    return Case(name, {subject.id: (subject, (slice_of(*endpoints, of=subject.id, ports=ports),))}, dials, **fields)


def everywhere(end: To | End, *sources: str, protocol: Protocol = "TCP") -> tuple[Dial, ...]:
    """The same end at every address, for all of these."""
    targets = [("cluster-ip", 80), ("vip", 80), ("external-ip", 80), ("node-1", NODE_PORT)]
    return tuple(Dial(source, target, port, end, protocol) for source in sources for target, port in targets)


BOTH = pods("pod-1", "pod-2")
LOCAL = {"external_traffic_policy": "Local"}
INSIDE = {"internal_traffic_policy": "Local"}
NAMED = EndpointPort("http", "TCP", OTHER_TARGET)
MINE = ("192.168.77.0/24", "192.168.77.100/32", "fd77::/64")
"""Source ranges that admit the client, and overlap."""
NOT_MINE = ("198.51.100.0/24", "2001:db8:1::/48")

THIEF = service(
    NamespacedName("attack", "thief"),
    created="2020-01-01T00:00:00Z",
    cluster_ips=("10.96.0.2", "fd00:96::2"),
    external_ips=tuple(VIP.values()),
)

PROTOCOLS: Final[tuple[Protocol, ...]] = ("TCP", "UDP", "SCTP")

CASES: Final = (
    *(
        case(
            f"Cluster, {protocol}: all endpoints at all addresses",
            web(protocol),
            BOTH,
            *everywhere(masqueraded("pod-1", "pod-2"), "client", "node-1", protocol=protocol),
            Dial("client", "node-2", NODE_PORT, masqueraded("pod-1", "pod-2"), protocol),
            Dial("pod-2", "vip", 80, masqueraded("pod-1", "pod-2"), protocol),
        )
        for protocol in PROTOCOLS
    ),
    case(
        "ClusterIP: a pod keeps its address",
        web(),
        pods("pod-2"),
        Dial("pod-1", "cluster-ip", 80, kept("pod-2")),
        Dial("pod-1", "vip", 80, masqueraded("pod-2")),
    ),
    *(
        case(
            f"hairpin, {name}: a pod reaches itself, from the node's address",
            web(**policy),
            pods("pod-1"),
            Dial("pod-1", "cluster-ip", 80, masqueraded("pod-1")),
            Dial("pod-1", "vip", 80, masqueraded("pod-1")),
        )
        for name, policy in (("Cluster", {}), ("Local", LOCAL), ("both Local", LOCAL | INSIDE))
    ),
    case(
        "an endpoint in the node's own network",
        web(),
        pods("node-1"),
        Dial("client", "vip", 80, kept("node-1")),
        Dial("pod-1", "cluster-ip", 80, kept("node-1")),
        Dial("client", "node-2", NODE_PORT, masqueraded("node-1")),
    ),
    case(
        "externalTrafficPolicy Local: the endpoints of the node that was reached, the client's address kept",
        web(**LOCAL),
        BOTH,
        *(Dial("client", target, port, kept("pod-1")) for target, port in (("vip", 80), ("external-ip", 80))),
        Dial("client", "node-1", NODE_PORT, kept("pod-1")),
        Dial("client", "node-2", NODE_PORT, kept("pod-2")),
        Dial("client", "cluster-ip", 80, masqueraded("pod-1", "pod-2")),
    ),
    case(
        "externalTrafficPolicy Local with none here: dropped, but not what comes from pods and the node",
        web(**LOCAL),
        pods("pod-2"),
        *(Dial("client", target, 80, DROPPED) for target in ("vip", "external-ip")),
        Dial("client", "node-1", NODE_PORT, DROPPED),
        Dial("client", "node-2", NODE_PORT, kept("pod-2")),
        Dial("pod-1", "vip", 80, kept("pod-2")),
        Dial("pod-1", "node-1", NODE_PORT, kept("pod-2")),
        Dial("node-1", "vip", 80, masqueraded("pod-2")),
        Dial("pod-1", "cluster-ip", 80, kept("pod-2")),
    ),
    case(
        "internalTrafficPolicy Local: the ClusterIP leads to the node's own endpoints, other addresses to all",
        web(**INSIDE),
        BOTH,
        Dial("pod-2", "cluster-ip", 80, masqueraded("pod-2")),
        Dial("node-1", "cluster-ip", 80, masqueraded("pod-1")),
        Dial("client", "vip", 80, masqueraded("pod-1", "pod-2")),
    ),
    case(
        "internalTrafficPolicy Local with none here: dropped at the ClusterIP only",
        web(**INSIDE),
        pods("pod-2"),
        Dial("pod-1", "cluster-ip", 80, DROPPED),
        Dial("node-1", "cluster-ip", 80, DROPPED),
        Dial("pod-1", "vip", 80, masqueraded("pod-2")),
        Dial("client", "vip", 80, masqueraded("pod-2")),
    ),
    *(
        case(
            f"no endpoints, {name}, {protocol}: refused at once",
            web(protocol, **policy),
            [],
            *everywhere(REJECTED, "client", "pod-1", "node-1", protocol=protocol),
        )
        for name, policy, protocol in (
            ("Cluster", {}, "TCP"),
            ("Cluster", {}, "UDP"),
            ("both Local", LOCAL | INSIDE, "TCP"),
        )
    ),
    case(
        "endpoints that are not ready get nothing",
        web(),
        [*pods("pod-1"), *pods("pod-2", ready=False, serving=False)],
        Dial("client", "vip", 80, masqueraded("pod-1")),
    ),
    case(
        "terminating endpoints serve where no ready one is left",
        web(),
        draining("pod-2"),
        Dial("client", "vip", 80, masqueraded("pod-2")),
        Dial("pod-1", "cluster-ip", 80, kept("pod-2")),
    ),
    case(
        "terminating endpoints that no longer serve are none",
        web(),
        pods("pod-2", ready=False, serving=False, terminating=True),
        Dial("client", "vip", 80, REJECTED),
    ),
    case(
        "the node's own endpoints and all endpoints fall back independently",
        web(**LOCAL),
        [*draining("pod-1"), *pods("pod-2")],
        Dial("client", "vip", 80, kept("pod-1")),
        Dial("pod-1", "vip", 80, kept("pod-2")),
    ),
    case(
        "publishNotReadyAddresses: slices call such endpoints ready",
        web(publish_not_ready_addresses=True),
        pods("pod-2", serving=False),
        Dial("client", "vip", 80, masqueraded("pod-2")),
    ),
    case(
        "zone hints keep traffic in the zone, but never narrow a Local policy",
        web(**LOCAL),
        [
            *pods("pod-1", zone_hints=frozenset({"b"})),
            *pods("pod-2", zone_hints=frozenset({"a"})),
        ],
        Dial("node-1", "cluster-ip", 80, masqueraded("pod-2")),
        Dial("client", "vip", 80, kept("pod-1")),
        zones={"node-1": "a", "node-2": "b"},
    ),
    case(
        "hints that are not on every endpoint count for nothing",
        web(),
        [*pods("pod-1", zone_hints=frozenset({"a"})), *pods("pod-2")],
        Dial("client", "vip", 80, masqueraded("pod-1", "pod-2")),
        zones={"node-1": "a"},
    ),
    case(
        "node hints come before zone hints (trafficDistribution PreferSameNode)",
        web(),
        [
            *pods("pod-1", node_hints=frozenset({"node-1"}), zone_hints=frozenset({"b"})),
            *pods("pod-2", node_hints=frozenset({"node-2"}), zone_hints=frozenset({"a"})),
        ],
        Dial("client", "vip", 80, masqueraded("pod-1")),
        zones={"node-1": "a"},
    ),
    Case(
        "several ports, and a target port by name that differs between pods",
        {
            WEB: (
                web(ports=(ServicePort("http", "TCP", 80), ServicePort("dns", "UDP", 53, NODE_PORT))),
                (
                    slice_of(*pods("pod-1"), name="web-1", ports=(EndpointPort("http", "TCP", TARGET),)),
                    slice_of(*pods("pod-2"), name="web-2", ports=(NAMED, EndpointPort("dns", "UDP", TARGET))),
                ),
            )
        },
        (
            Dial("client", "vip", 80, masqueraded("pod-1", f"pod-2:{OTHER_TARGET}")),
            Dial("client", "vip", 53, masqueraded("pod-2"), "UDP"),
            Dial("client", "node-1", NODE_PORT, masqueraded("pod-2"), "UDP"),
            Dial("client", "node-1", NODE_PORT, GATEWAY),
        ),
    ),
    case(
        "allocateLoadBalancerNodePorts false: the address is served, no node port",
        web(ports=(ServicePort("http", "TCP", 80),)),
        pods("pod-2"),
        Dial("client", "vip", 80, masqueraded("pod-2")),
        Dial("client", "node-1", NODE_PORT, GATEWAY),
    ),
    case(
        "ipMode Proxy: the packet leaves the node",
        web(proxied_ingress=tuple(VIP.values())),
        pods("pod-2"),
        Dial("client", "vip", 80, GATEWAY),
        Dial("pod-1", "vip", 80, GATEWAY),
        Dial("client", "external-ip", 80, masqueraded("pod-2")),
    ),
    case(
        "an address that was asked for and not given is not served",
        web(ingress=(), load_balancer_ip=VIP["IPv4"]),
        pods("pod-2"),
        Dial("client", "vip", 80, GATEWAY),
    ),
    case(
        "a Service being deleted is served until it is gone",
        web(deleting=True),
        pods("pod-2"),
        Dial("client", "vip", 80, masqueraded("pod-2")),
    ),
    *(
        case(f"{name}: left alone", web(**fields), pods("pod-2"), Dial("client", "external-ip", 80, GATEWAY))
        for name, fields in (
            ("headless", {"cluster_ips": ()}),
            ("ExternalName", {"type": "ExternalName"}),
            ("another proxy's", {"labels": {"service.kubernetes.io/service-proxy-name": "other"}}),
        )
    ),
    case(
        "a family without a ClusterIP is left alone",
        web(cluster_ips=(CLUSTER_IP["IPv4"],)),
        pods("pod-2"),
        Dial("client", "vip", 80, masqueraded("pod-2"), families=("IPv4",)),
        Dial("client", "vip", 80, GATEWAY, families=("IPv6",)),
    ),
    case(
        "other ports and protocols: refused at a ClusterIP, left alone elsewhere",
        web(),
        pods("pod-2"),
        *(Dial(source, "cluster-ip", 81, REJECTED) for source in ("client", "pod-1", "node-1")),
        *(Dial(source, "cluster-ip", 80, REJECTED, "UDP") for source in ("client", "pod-1", "node-1")),
        *(Dial("client", target, 81, GATEWAY) for target in ("vip", "external-ip")),
    ),
    case(
        "an address that no Service has: dropped in a ServiceCIDR",
        web(),
        pods("pod-2"),
        *(Dial(source, "free-ip", 80, DROPPED) for source in ("client", "pod-1", "node-1")),
    ),
    case(
        "loadBalancerSourceRanges admit",
        web(source_ranges=MINE),
        pods("pod-2"),
        Dial("client", "vip", 80, masqueraded("pod-2")),
        Dial("node-1", "vip", 80, masqueraded("pod-2")),
        Dial("pod-1", "vip", 80, DROPPED),
        Dial("pod-1", "cluster-ip", 80, kept("pod-2")),
    ),
    *(
        case(
            f"loadBalancerSourceRanges keep out, {name}: at the load balancer's address only",
            web(source_ranges=ranges, **fields),
            BOTH,
            *(Dial(source, "vip", 80, DROPPED) for source in ("client", "pod-1", "node-1")),
            Dial("node-1", "external-ip", 80, masqueraded("pod-1", "pod-2")),
            Dial("node-1", "node-1", NODE_PORT, masqueraded("pod-1", "pod-2")),
            Dial("node-1", "cluster-ip", 80, masqueraded("pod-1", "pod-2")),
        )
        for name, ranges, fields in (
            ("Cluster", NOT_MINE, {}),
            ("Local", NOT_MINE, LOCAL),
            ("no CIDR", ("10.0.0.0/33", "fd00::/129"), {}),
        )
    ),
    case(
        "loadBalancerSourceRanges keep a client out before a missing endpoint refuses it",
        web(source_ranges=NOT_MINE),
        [],
        Dial("client", "vip", 80, DROPPED),
        Dial("client", "external-ip", 80, REJECTED),
    ),
    case(
        "loadBalancerSourceRanges of length 0 admit all, and those of one family say nothing of the other",
        web(source_ranges=("198.51.100.0/24", "0.0.0.0/0")),
        pods("pod-2"),
        Dial("client", "vip", 80, masqueraded("pod-2")),
    ),
    case(
        "loadBalancerSourceRanges of one family alone",
        web(source_ranges=(" 198.051.100.0/24 ",)),
        pods("pod-2"),
        Dial("client", "vip", 80, DROPPED, families=("IPv4",)),
        Dial("client", "vip", 80, masqueraded("pod-2"), families=("IPv6",)),
    ),
    Case(
        "an externalIP yields to an address that the cluster gave",
        {
            THIEF.id: (THIEF, (slice_of(*pods("pod-1"), of=THIEF.id),)),
            WEB: (web(), (slice_of(*pods("pod-2"), ports=(EndpointPort("http", "TCP", TARGET),)),)),
        },
        (Dial("client", "vip", 80, masqueraded("pod-2")),),
    ),
)


HINTED: Final = "node hints come before zone hints (trafficDistribution PreferSameNode)"
assert any(each.name == HINTED for each in CASES)


def surviving(subject: Case) -> Case:
    """The same where every Service asks that its connections outlive the node that announces them: outside clients
    of a load balancer's address are seen as who they are, and hints do not narrow what nodes must choose alike."""
    services = {
        id_: (replace(each, annotations={CONNECTION_SURVIVAL_ANNOTATION: "true"}), slices)
        for id_, (each, slices) in subject.services.items()
    }
    return replace(
        subject, services=services, dials=tuple(_surviving(dial, subject.name == HINTED) for dial in subject.dials)
    )


def _surviving(dial: Dial, hinted: bool) -> Dial:
    concerned = dial.source == "client" and dial.target == "vip" and dial.protocol != "SCTP"
    if not (concerned and isinstance(dial.end, To)):
        return dial
    return dial._replace(end=kept("pod-1", "pod-2") if hinted else dial.end._replace(kept=True))
