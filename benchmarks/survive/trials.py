"""Events that open connections are to outlive, and what became of these."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.survive import objects
from benchmarks.survive.held import Use
from benchmarks.survive.holder import Holder
from benchmarks.survive.server import TALK_PORT
from benchmarks.survive.stand import FAMILIES, SURVIVAL
from benchmarks.survive.verdict import Outcome, judge
from lab.errors import LabError
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.survive.held import Held
    from benchmarks.survive.stand import Stand
    from benchmarks.survive.talk import Hello
    from lab.progress import Progress

_CALM: Final = 3.0
"""Seconds after an event in which every connection has asked again: whatever it breaks, it has broken by then."""
_ENOUGH: Final = 0.95
"""Of the connections that were to be held."""
_ATTEMPTS: Final = 3
_CHATS: Final = 10
_DOWNLOADS: Final = 2
_FLOWS: Final = 4
"""TCP connections for each UDP flow."""
_PATIENCE: Final = 60.0

PLANNED: Final = "planned"
POWER_OFF: Final = "power_off"
ENDPOINT_ADDED: Final = "endpoint_added"
ENDPOINT_REMOVED: Final = "endpoint_removed"
ENDPOINT_TERMINATING: Final = "endpoint_terminating"
ENDPOINT_CHANGES: Final = (ENDPOINT_ADDED, ENDPOINT_REMOVED, ENDPOINT_TERMINATING)


def _nobody(hello: Hello) -> bool:
    del hello
    return False


def _planned(stand: Stand) -> Callable[[Hello], bool]:
    """From the first node to a second and on to a third, as when all nodes are drained in turn."""
    _, second, third, *_ = stand.lab.nodes
    stand.announce_from(second)
    time.sleep(_CALM)
    stand.announce_from(third)
    return _nobody


def _power_off(stand: Stand) -> Callable[[Hello], bool]:
    """Of the node that announces. Its own endpoints die with it; the node stays off."""
    (node,) = set(stand.owners().values())
    stand.lab.power_off(node)
    stand.await_owners_beside(node)
    return lambda hello: hello.node == node


def _endpoint_added(stand: Stand) -> Callable[[Hello], bool]:
    stand.lab.apply(objects.endpoint("talker-new", list(stand.lab.nodes)[-1]))
    wait_for("the new endpoint to be ready", lambda: stand.endpoints().get("talker-new"), _PATIENCE)
    return _nobody


def _endpoint_removed(stand: Stand) -> Callable[[Hello], bool]:
    """Out of the Service, at once; as if its pod had been killed."""
    gone = "talker-1"
    stand.lab.kubectl("label", "pod", gone, "app-")
    wait_for("the endpoint to be gone", lambda: gone not in stand.endpoints(), _PATIENCE)
    return lambda hello: hello.pod == gone


def _endpoint_terminating(stand: Stand) -> Callable[[Hello], bool]:
    """A pod is deleted, and takes its time: its connections are not to notice."""
    ending = "talker-2"
    stand.lab.kubectl("delete", "pod", ending, "--wait=false")
    wait_for("the endpoint to terminate", lambda: not stand.endpoints().get(ending), _PATIENCE)
    return _nobody


EVENTS: Final[Mapping[str, Callable[[Stand], Callable[[Hello], bool]]]] = {
    PLANNED: _planned,
    ENDPOINT_ADDED: _endpoint_added,
    ENDPOINT_TERMINATING: _endpoint_terminating,
    ENDPOINT_REMOVED: _endpoint_removed,
    POWER_OFF: _power_off,
}
"""In an order in which each leaves what the next needs. Each returns whose endpoints went."""


@dataclass(frozen=True, slots=True)
class Extent:
    """TCP connections held to each address, where they are to survive and where that is compared with; through
    what. With them a quarter as many UDP flows."""

    connections: int = 1_000
    beside: int = 250
    events: Sequence[str] = tuple(EVENTS)
    """In the order of EVENTS."""


def run(stand: Stand, extent: Extent, progress: Progress) -> Iterator[Outcome]:
    """All events in turn. Raises LabError."""
    stand.announce_from(next(iter(stand.lab.nodes)))
    with Holder.on(stand.lab.client) as holder:
        for event in extent.events:
            # What the last event left behind, such as a pod that has ended, is known everywhere by then.
            time.sleep(_CALM)
            for each in _trial(stand, holder, event, extent):
                why = "".join(f"; {count}: {what}" for what, count in each.failures.items())
                what = f"{event}, {each.way}, {each.family}, {each.protocol}"
                progress(f"{what}: {each.kept} of {each.held} kept{why}")
                yield each


def _trial(stand: Stand, holder: Holder, event: str, extent: Extent) -> list[Outcome]:
    lots: dict[tuple[str, str, str], list[Held]] = {}
    for way in stand.setup.ways:
        count = extent.connections if way == SURVIVAL else extent.beside
        for family in FAMILIES:
            address = stand.address(way, family)
            for protocol, uses in _uses(count).items():
                lots[way, family, protocol] = _begin(holder, address, uses)
    went = EVENTS[event](stand)
    time.sleep(_CALM)
    holder.prove([each for lot in lots.values() for each in lot])
    # Before anybody says goodbye, so that no loss is one that we make.
    lost = stand.lost()
    return [judge(event, *which, holder.leave(lot), lost, went) for which, lot in lots.items()]


def _begin(holder: Holder, address: str, uses: Sequence[Use]) -> list[Held]:
    """Those that came about. Raises LabError where there are too few to tell anything."""
    for _ in range(_ATTEMPTS):
        opened = holder.open(address, TALK_PORT, uses)
        begun = [each for each in opened if each.fate.failure is None]
        if len(begun) >= _ENOUGH * len(uses):
            return begun
        holder.leave(opened)
    why = {each.fate.failure for each in opened} - {None}
    raise LabError(f"{len(opened) - len(begun)} of {len(uses)} to {address} cannot be had: {why}")


def _uses(count: int) -> dict[str, list[Use]]:
    """By protocol."""
    special = [Use.CHAT] * _CHATS + [Use.DOWNLOAD] * _DOWNLOADS
    return {
        "tcp": (special + [Use.TALK] * count)[:count],
        "udp": [Use.FLOW] * max(count // _FLOWS, 1),
    }
