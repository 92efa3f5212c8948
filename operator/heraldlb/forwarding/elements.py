"""Virtual servers as elements of the table's maps, and the chains that those elements send packets to. Pure.

| map, set              | key                          | value                                  |
|-----------------------|------------------------------|----------------------------------------|
| `services`            | address . protocol . port    | `goto external-N`, `goto internal-N`,  |
|                       |                              | `goto refuse`, `drop`,                 |
|                       |                              | `goto restricted`                      |
| `restricted-services` | the same                     | what else would be in `services`       |
| `local-services`      | the same                     | `jump local-N`, before that            |
| `filtered` (set)      | the same                     |                                        |
| `sources` (set)       | the same . client's network  |                                        |
| `affine`              | the same                     | `jump recall-GROUP`                    |
| `affine-PROTO`        | address . port               | `goto learn-GROUP`                     |
| `backends-PROTO`      | address . port . slot        | backend address . port                 |
| `hairpins` (set)      | endpoint . the same endpoint |                                        |
| `cluster-ips` (set)   | ClusterIP                    |                                        |

N is the number of slots, after the way to pick one of them where that is not random. Slots from `LOCAL_SLOTS`
upwards hold the backends of the Local traffic policy, so both lists of a frontend live in one map. What the packets
themselves write is in `affinity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from heraldlb.api.ranges import IPAddress
from heraldlb.forwarding.model import (
    Affinity,
    Backend,
    Frontend,
    IPNetwork,
    Masquerade,
    Pick,
    Refusal,
    VirtualServer,
)

SERVICES: Final = "services"
RESTRICTED_SERVICES: Final = "restricted-services"
LOCAL_SERVICES: Final = "local-services"
FILTERED: Final = "filtered"
SOURCES: Final = "sources"
AFFINE: Final = "affine"
HAIRPINS: Final = "hairpins"
CLUSTER_IPS: Final = "cluster-ips"
REFUSE: Final = "refuse"
RESTRICTED: Final = "restricted"

LOCAL_SLOTS: Final = 1 << 24
"""First slot of the Local list: far beyond the number of endpoints that a Service can have."""


class Key(NamedTuple):
    """One element: the map (or set) and the key in nft's words. A tuple, since tens of thousands are hashed."""

    map: str
    text: str


@dataclass(frozen=True, slots=True, order=True)
class Chain:
    """A chain shared by all frontends that are treated alike. It is never changed, so its name says all of it."""

    role: str
    """`external`: masquerade; `internal`: masquerade all but pods; `local`: the Local list, for outside clients.
    With `sticky-` before it: ask first where the client went before. `recall`, `learn` and `learning`: see
    `affinity`."""
    backends: int = 0
    """Slots."""
    pick: Pick = Pick.RANDOM
    group: int = 0
    seconds: int = 0
    """As `group`, of `recall` and `learn`."""
    protocol: str = ""
    """The only one it is for; empty: for all."""
    owner: str = ""
    """The only frontend that it is for, where turns are counted: the counter belongs to the rule."""
    hook: str = ""
    """Of nat, where packets come in; empty: elements send them."""

    def __str__(self) -> str:
        match self.role:
            case "recall":
                return f"recall-{self.protocol}-{self.group:032x}"
            case "learn":
                return f"learn-{self.protocol}-{self.group:032x}-{self.seconds}"
            case "learning":
                return f"learning-{self.protocol}-{self.hook}"
            case _:
                pick = "" if self.pick is Pick.RANDOM else self.pick
                parts = (self.role, pick, str(self.backends), self.protocol, self.owner)
                return "-".join(filter(None, parts))

    @property
    def affinity(self) -> Affinity:
        """What a `recall` or `learn` chain is about."""
        return Affinity(self.group, self.seconds)


def backends_map(protocol: str) -> str:
    """The name of the map with the backends of one protocol."""
    return f"backends-{protocol.lower()}"


def affine_map(protocol: str) -> str:
    """The name of the map of frontends of one protocol whose clients are remembered."""
    return f"{AFFINE}-{protocol.lower()}"


def chains_of(frontend: Frontend, server: VirtualServer) -> Iterator[Chain]:
    """The chains that the elements of a virtual server refer to, or need."""
    sticky = "sticky-" if server.affinity else ""
    if server.backends:
        role = "external" if server.masquerade is Masquerade.EVERYONE else "internal"
        yield _picking(sticky + role, len(server.backends), frontend, server.pick)
    if server.local_backends is not None:
        role = sticky + "local" if server.local_backends else "local"
        yield _picking(role, len(server.local_backends), frontend, server.pick)
    if server.affinity and server.backends:
        protocol = frontend.protocol.lower()
        yield Chain("recall", group=server.affinity.group, protocol=protocol)
        yield Chain("learn", group=server.affinity.group, seconds=server.affinity.seconds, protocol=protocol)
        for hook in ("postrouting", "input"):
            yield Chain("learning", protocol=protocol, hook=hook)


def _picking(role: str, slots: int, frontend: Frontend, pick: Pick) -> Chain:
    # Of one slot there is nothing to pick, and nft's hash takes no modulus of 1.
    if slots < 2 or pick is Pick.RANDOM:
        return Chain(role, slots)
    if pick is not Pick.TURN:
        return Chain(role, slots, pick)
    owner = f"{frontend.port}-{int(frontend.address):x}"
    return Chain(role, slots, pick, protocol=frontend.protocol.lower(), owner=owner)


def elements_of(frontend: Frontend, server: VirtualServer) -> Iterator[tuple[Key, str]]:
    """The elements that make a virtual server, each with its value, which is empty in a set."""
    address, protocol = str(frontend.address), frontend.protocol.lower()
    service = f"{address} . {protocol} . {frontend.port}"
    verdict = "goto refuse" if server.refusal is Refusal.REJECT else "drop"
    for chain in chains_of(frontend, server):
        match chain.role.removeprefix("sticky-"):
            case "local":
                yield Key(LOCAL_SERVICES, service), f"jump {chain}"
            case "recall":
                yield Key(AFFINE, service), f"jump {chain}"
            case "learn":
                yield Key(affine_map(protocol), f"{address} . {frontend.port}"), f"goto {chain}"
            case "learning":
                continue
            case _:
                verdict = f"goto {chain}"
    if server.sources is None and server.local_backends is None:
        yield Key(SERVICES, service), verdict
    else:
        yield Key(SERVICES, service), f"goto {RESTRICTED}"
        yield Key(RESTRICTED_SERVICES, service), verdict
    if server.sources is not None:
        yield Key(FILTERED, service), ""
        for network in server.sources:
            yield Key(SOURCES, f"{service} . {_words(network)}"), ""
    slots = backends_map(protocol)
    for slot, backend in _slots(server):
        yield Key(slots, f"{address} . {frontend.port} . {slot}"), f"{backend.address} . {backend.port}"


def hairpin(address: IPAddress) -> Key:
    """The element for a connection of an endpoint to itself."""
    return Key(HAIRPINS, f"{address} . {address}")


def cluster_ip(address: IPAddress) -> Key:
    """The element for an address that refuses what none of its ports serves."""
    return Key(CLUSTER_IPS, str(address))


def _words(network: IPNetwork) -> str:
    """As nft lists it: a single host without its prefix length."""
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address if single else network)


def _slots(server: VirtualServer) -> Iterator[tuple[int, Backend]]:
    yield from enumerate(server.backends)
    yield from enumerate(server.local_backends or (), LOCAL_SLOTS)
