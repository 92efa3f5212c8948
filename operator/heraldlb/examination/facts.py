"""What a node knows of itself: the answer to `GET /examination`. Pure.

Everything is as the agent sees it at one moment, in the node's network namespace. Ages are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from heraldlb.api.ranges import IPAddress

Prefix = IPv4Network | IPv6Network


class LinkKind(StrEnum):
    """What carries the frames, as far as it matters to ARP and NDP. Others are told by the kernel's name for them,
    `rtnl_link_ops.kind`: `geneve`, `dummy`."""

    ETHERNET = "ethernet"
    """A network card, or what looks like one."""
    WIRELESS = "wireless"
    LOOPBACK = "loopback"
    BRIDGE = "bridge"
    BOND = "bond"
    TEAM = "team"
    VLAN = "vlan"
    MACVLAN = "macvlan"
    IPVLAN = "ipvlan"
    VETH = "veth"
    TUN = "tun"
    """A tun or tap device of a program, such as a virtual machine's."""
    VRF = "vrf"
    VXLAN = "vxlan"
    OTHER = "other"
    """Neither Ethernet nor of a kind that has a name."""


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """A network interface."""

    name: str = ""
    kind: str = LinkKind.OTHER.value
    """A `LinkKind`, or another kind by the kernel's name."""
    mode: str = ""
    """Of macvlan and ipvlan: `bridge`, `private`, `l2` ...; of a bond: `active-backup`, `802.3ad` ..."""
    driver: str = ""
    """Of a device that has one: `e1000e`, `virtio_net`."""
    mac: str = ""
    """Empty where it has none."""
    mtu: int = 0
    """Octets of an IP packet."""
    up: bool = False
    """It was set up."""
    carrier: bool = False
    """Frames can leave: there is a cable, an access point, a peer."""
    promiscuous: bool = False
    """It takes in frames to hardware addresses that are not its own."""
    master: str = ""
    """The bridge, bond or VRF that it is a port of."""
    parent: str = ""
    """The link below: of a VLAN, macvlan or ipvlan."""
    prefixes: tuple[Prefix, ...] = ()
    """Networks whose hosts are reached by ARP or NDP on this link."""
    addresses: tuple[IPAddress, ...] = ()
    """The node's own on this link."""
    gateways: tuple[IPAddress, ...] = ()
    """Routers on this link that the node's default routes lead to, at most one of each family."""
    announces: bool = False
    """The speaker announces here, or would if it were elected for an address of this link's prefixes."""


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Something to set right on the node."""

    subject: str = ""
    """The setting or thing it is about, so that the same on several nodes can be told together."""
    message: str = ""
    """What is wrong, what it does, and how to set it right."""
    blocking: bool = False
    """Services are not reachable until it is done; otherwise only some connections suffer."""


@dataclass(frozen=True, slots=True)
class ProxyFacts:
    """Another service proxy of which something shows on the node."""

    name: str = ""
    """With its mode, where it has several."""
    alive: bool = False
    """Its process lives, or nothing says that it does not."""
    serves: bool = False
    """It does the work: its rules are there, complete, and its process lives."""


@dataclass(frozen=True, slots=True)
class ForwardingFacts:
    """Who forwards Services on this node."""

    mode: str = ""
    """As it was set: `auto`, `full` or `off`."""
    active: bool = False
    """Herald does. False also while that is being found out, with an empty reason."""
    reason: str = ""
    """Why, or why not, in words without a full stop."""
    proxies: tuple[ProxyFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """Another node that the cluster names, whether or not it runs an agent."""

    name: str = ""
    address: IPAddress | None = None
    """Where heartbeats to it go; None: it has no InternalIP of a family that this node speaks."""
    alive: bool = False
    """It is heard, or a node that is heard hears it."""
    heard: bool = False
    """Its heartbeats come in, fresh, and show that it hears this node."""
    expected: bool = False
    """Its heartbeats should come in here if its agent runs. In a cluster of up to eight nodes, everybody's; in a
    larger one those of the neighbours on the ring."""
    heard_ago: float | None = None
    """Seconds since a heartbeat of it came that showed that it hears this node. None: never."""
    received_ago: float | None = None
    """Seconds since any authentic datagram of it came. Where this is small and `heard_ago` is not, its datagrams
    reach this node, and this node's do not reach it. None: never."""


@dataclass(frozen=True, slots=True)
class RefusedFacts:
    """Membership datagrams that were not accepted, for one reason."""

    verdict: str = ""
    """`BadSignature`: its sender has another key. `Malformed`: no heartbeat of ours, or of another version.
    `Stale`: delayed, recorded, or its sender no longer hears this node. `Unconfirmed`: of a peer that has not heard
    this node yet. `Replayed`. `UnknownSender`: the cluster names no such node."""
    count: int = 0
    """Since the agent started."""
    ago: float | None = None
    """Seconds since the last of them."""


@dataclass(frozen=True, slots=True)
class AddressFacts:
    """An address that this node announces."""

    address: IPAddress | None = None
    link: str = ""
    seconds: float = 0.0
    """For which this node has announced it."""
    requests: int = 0
    """ARP requests and neighbour solicitations for it that came in meanwhile."""
    answers: int = 0
    """Those that were answered."""
    announcements: int = 0
    """Times it was announced unasked."""
    foreign_claims: int = 0
    """Frames in which somebody else claimed it."""
    sharers: int = 1
    """Nodes that share its clients, this one among them."""


@dataclass(frozen=True, slots=True)
class SpeakerFacts:
    """The part of the agent that announces addresses."""

    standing: str = ""
    """What the node says of itself to the others: `JOINING`, `SERVING`, `PROBATION`, `ESTABLISHED`, `ISOLATED` or
    `LEAVING`. Empty: this agent is no speaker, or has not started."""
    membership_port: int = 0
    """UDP port of heartbeats."""
    peers: tuple[PeerFacts, ...] = ()
    refused: tuple[RefusedFacts, ...] = ()
    addresses: tuple[AddressFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Everything."""

    node: str = ""
    """The name of its Node object."""
    version: str = ""
    """Of the agent."""
    kernel: str = ""
    """Its release, as `uname -r` says it."""
    clock: float = 0.0
    """The node's wall clock when this was read, in Unix seconds; up to a second before it was told."""
    started: float = 0.0
    """The same when the agent started: counters grow from there."""
    links: tuple[LinkFacts, ...] = ()
    """Without the node's ends of the links to pods: a veth that neither announces nor has an address."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Kernel settings by the name that sysctl(8) takes (see `sysctl`), each as the kernel writes it; those that the
    kernel does not have are left out. Per link: of those that announce."""
    hindrances: tuple[Hindrance, ...] = ()
    forwarding: ForwardingFacts = field(default_factory=ForwardingFacts)
    speaker: SpeakerFacts = field(default_factory=SpeakerFacts)
    tunnel_port: int = 0
    """UDP port of the tunnel that surviving connections take to nodes on other segments; 0: there is none."""

    def link(self, name: str) -> LinkFacts | None:
        """The link of that name."""
        return next((each for each in self.links if each.name == name), None)
