"""Virtual servers as elements of the table's maps, and the chains that those elements send packets to. Pure.

| map              | key                          | value                                  |
|------------------|------------------------------|----------------------------------------|
| `services`       | address . protocol . port    | `goto external-N`, `goto internal-N`, `goto refuse`, `drop` |
| `local-services` | the same                     | `jump local-N`, asked before `services` |
| `backends-PROTO` | address . port . slot        | backend address . port                 |
| `hairpins` (set) | endpoint . the same endpoint |                                        |

N is the number of slots, after the way to pick one of them where that is not random. Slots from `LOCAL_SLOTS`
upwards hold the backends of the Local traffic policy, so both lists of a frontend live in one map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from heraldlb.api.ranges import IPAddress
from heraldlb.forwarding.model import Backend, Frontend, Masquerade, Pick, Refusal, VirtualServer

SERVICES: Final = "services"
LOCAL_SERVICES: Final = "local-services"
HAIRPINS: Final = "hairpins"
REFUSE: Final = "refuse"

LOCAL_SLOTS: Final = 1 << 24
"""First slot of the Local list: far beyond the number of endpoints that a Service can have."""


class Key(NamedTuple):
    """One element: the map (or set) and the key in nft's words. A tuple, since tens of thousands are hashed."""

    map: str
    text: str


@dataclass(frozen=True, slots=True, order=True)
class Chain:
    """A chain, shared by all frontends with as many slots, the same way to pick one and treatment of the source."""

    role: str
    """`external`: masquerade; `internal`: masquerade all but pods; `local`: the Local list, for outside clients."""
    backends: int
    """Slots."""
    pick: Pick = Pick.RANDOM
    owner: str = ""
    """The only frontend that has it, where turns are counted: the counter belongs to the rule."""

    def __str__(self) -> str:
        pick = "" if self.pick is Pick.RANDOM else f"{self.pick}-"
        return f"{self.role}-{pick}{self.backends}{self.owner and '-'}{self.owner}"


def backends_map(protocol: str) -> str:
    """The name of the map with the backends of one protocol."""
    return f"backends-{protocol.lower()}"


def chains_of(frontend: Frontend, server: VirtualServer) -> Iterator[Chain]:
    """The chains that the elements of a virtual server refer to."""
    if server.backends:
        role = "external" if server.masquerade is Masquerade.EVERYONE else "internal"
        yield _chain(role, len(server.backends), frontend, server.pick)
    if server.local_backends is not None:
        yield _chain("local", len(server.local_backends), frontend, server.pick)


def _chain(role: str, slots: int, frontend: Frontend, pick: Pick) -> Chain:
    # Of one slot there is nothing to pick, and nft's hash takes no modulus of 1.
    if slots < 2 or pick is Pick.RANDOM:
        return Chain(role, slots)
    if pick is not Pick.TURN:
        return Chain(role, slots, pick)
    return Chain(role, slots, pick, f"{frontend.protocol.lower()}-{frontend.port}-{int(frontend.address):x}")


def elements_of(frontend: Frontend, server: VirtualServer) -> Iterator[tuple[Key, str]]:
    """The elements that make a virtual server, each with its value."""
    address, protocol = str(frontend.address), frontend.protocol.lower()
    service = f"{address} . {protocol} . {frontend.port}"
    verdict = "goto refuse" if server.refusal is Refusal.REJECT else "drop"
    for chain in chains_of(frontend, server):
        if chain.role == "local":
            yield Key(LOCAL_SERVICES, service), f"jump {chain}"
        else:
            verdict = f"goto {chain}"
    yield Key(SERVICES, service), verdict
    slots = backends_map(protocol)
    for slot, backend in _slots(server):
        yield Key(slots, f"{address} . {frontend.port} . {slot}"), f"{backend.address} . {backend.port}"


def hairpin(address: IPAddress) -> Key:
    """The element for a connection of an endpoint to itself."""
    return Key(HAIRPINS, f"{address} . {address}")


def _slots(server: VirtualServer) -> Iterator[tuple[int, Backend]]:
    yield from enumerate(server.backends)
    yield from enumerate(server.local_backends or (), LOCAL_SLOTS)
