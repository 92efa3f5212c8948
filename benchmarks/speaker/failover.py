"""Trials of failure and return, seen by those who ask: how long until another node serves, and whether two do."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from benchmarks.percentiles import percentile
from benchmarks.rows import Row
from benchmarks.speaker.causes import CAUSES
from benchmarks.speaker.testbed import IPV4, IPV6, NODES, Testbed
from lab.owners import two_owners
from lab.waiting import WaitTimeoutError, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.speaker.traffic import Traffic
    from benchmarks.speaker.watcher import Watcher
    from lab.owners import Answer
    from lab.progress import Progress

P50_TARGET_MS: Final = 250.0
P99_TARGET_MS: Final = 400.0
TWO_OWNERS_TARGET_MS: Final = 100.0
_LOOK: Final = 0.15
"""Seconds of asking after which one knows who owns."""
_RECOVERY_PATIENCE: Final = 10.0
"""Seconds; what takes longer counts as so long."""
_AFTERMATH: Final = 0.5
"""Seconds for which the addresses are watched when a node is back."""
_PATIENCE: Final = 60.0
_FAMILIES: Final = ("ipv4", "ipv6")


@dataclass(frozen=True, slots=True)
class Trial:
    """One failure and return, or one partition and its end. In milliseconds; by family."""

    cause: str
    node: str
    asked_ms: Mapping[str, float] = field(default_factory=dict)
    """From just before the failure until another node answered a question of the watcher's."""
    traffic_ms: Mapping[str, float] = field(default_factory=dict)
    """The same until one answered what the client's kernel sent where its cache says."""
    two_owners_ms: Mapping[str, float] = field(default_factory=dict)

    def failover_ms(self, family: str) -> float:
        """When another node answered and traffic flowed again."""
        return max(self.asked_ms[family], self.traffic_ms[family])


class Arena:
    """A testbed with those who ask."""

    def __init__(self, bed: Testbed, watcher: Watcher, traffic: Traffic) -> None:
        self.bed = bed
        self.watcher = watcher
        self.traffic = traffic
        self._struck: dict[str, int] = dict.fromkeys(bed.nodes, 0)

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[Arena]:
        """With every address owned by one node. Raises LabError."""
        with ExitStack() as stack:
            bed = stack.enter_context(Testbed())
            yield cls(bed, stack.enter_context(bed.watcher()), stack.enter_context(bed.traffic()))

    def pair(self) -> tuple[str, tuple[str, str]]:
        """A node, of those that have failed least, and an address of each family that it alone answers for."""

        def found() -> tuple[str, tuple[str, str]] | None:
            owners = self._owners()
            for node in sorted(self.bed.nodes, key=self._struck.__getitem__):
                owned = [
                    [each for each in family if owners.get(each) == self.bed.mac(node)] for family in (IPV4, IPV6)
                ]
                if all(owned):
                    return node, (owned[0][0], owned[1][0])
            return None

        self.traffic.ask(())
        node, addresses = wait_for("a node to own addresses of both families", found, _PATIENCE)
        self._struck[node] += 1
        self.watcher.ask(addresses)
        self.traffic.ask(addresses)
        mac, begun = self.bed.mac(node), time.monotonic()

        def serves() -> bool:
            return all(any(said.mac == mac for said in self.traffic.answers(each, begun)) for each in addresses)

        wait_for(f"traffic to flow through {node}", serves, _PATIENCE)
        return node, addresses

    def _owners(self) -> dict[str, str]:
        """Of the addresses that are answered for by one node each."""
        self.watcher.forget()
        self.traffic.forget()
        self.watcher.ask((*IPV4, *IPV6))
        begun = time.monotonic()
        time.sleep(_LOOK)
        macs = {each: {said.mac for said in self.watcher.answers(each, begun)} for each in (*IPV4, *IPV6)}
        return {address: next(iter(found)) for address, found in macs.items() if len(found) == 1}

    def is_settled(self, addresses: Sequence[str]) -> bool:
        """Whether one node alone answers for each, over a short look."""
        begun = time.monotonic()
        time.sleep(_LOOK)
        return all(len({said.mac for said in self.watcher.answers(each, begun)}) == 1 for each in addresses)


def fail(arena: Arena, cause: str) -> Trial:
    """Strike a node that announces, wait until others serve, and undo it. Raises LabError."""
    bed = arena.bed
    node, addresses = arena.pair()
    mac = bed.mac(node)
    begun = time.monotonic()
    CAUSES[cause].strike(bed, node)
    asked = [_other(arena.watcher.answers, each, begun, mac) for each in addresses]
    served = [_other(arena.traffic.answers, each, begun, mac) for each in addresses]
    returning = time.monotonic()
    CAUSES[cause].undo(bed, node)
    bed.wait_back(node, returning)
    time.sleep(_AFTERMATH)
    wait_for("one node alone to answer", lambda: arena.is_settled(addresses), _PATIENCE)
    overlaps = [two_owners(arena.watcher.answers(each, begun)) for each in addresses]
    return Trial(cause, node, _by_family(asked), _by_family(served), _by_family(overlaps))


def part(arena: Arena) -> Trial:
    """Cut the LAN between two halves of the nodes, so that each has its owner, and heal it. Raises LabError."""
    bed = arena.bed
    node, addresses = arena.pair()
    names = list(bed.nodes)
    for one in names[: NODES // 2]:
        for other in names[NODES // 2 :]:
            bed.network.cut(one, other)
    wait_for("both halves to answer", lambda: _all_contested(arena, addresses), _PATIENCE)
    healing = time.monotonic()
    bed.network.heal_all()
    wait_for("one node alone to answer", lambda: arena.is_settled(addresses), _PATIENCE)
    time.sleep(_AFTERMATH)
    left = [contested_for(arena.watcher.answers(each, healing)) for each in addresses]
    for each in bed.nodes:
        bed.wait_back(each, 0.0)
    return Trial("partition", node, two_owners_ms=_by_family(left))


def _all_contested(arena: Arena, addresses: Sequence[str]) -> bool:
    begun = time.monotonic()
    time.sleep(_LOOK)
    return all(len({said.mac for said in arena.watcher.answers(each, begun)}) > 1 for each in addresses)


def contested_for(answers: Sequence[Answer]) -> float:
    """Seconds from the first of these answers until the last that another gave than who answers in the end."""
    losers = [said.time for said in answers if said.mac != answers[-1].mac]
    return max(losers) - answers[0].time if losers else 0.0


def _other(answers: Callable[[str, float], list[Answer]], address: str, begun: float, mac: str) -> float:
    """Seconds until another than `mac` answered."""

    def first() -> float | None:
        return next((said.time for said in answers(address, begun) if said.mac != mac), None)

    try:
        return wait_for("another node to answer", first, _RECOVERY_PATIENCE) - begun
    except WaitTimeoutError:
        return _RECOVERY_PATIENCE


def _by_family(seconds: Sequence[float]) -> dict[str, float]:
    return {family: round(each * 1000, 1) for family, each in zip(_FAMILIES, seconds, strict=True)}


def run(causes: Sequence[str], trials: int, partitions: int, progress: Progress) -> list[Trial]:
    """So many of each cause, causes taking turns, and so many partitions. Raises LabError."""
    found: list[Trial] = []
    with Arena.opened() as arena:
        for number in range(1, trials + 1):
            found += [fail(arena, cause) for cause in causes]
            if causes and (number % 5 == 0 or number == trials):
                progress(f"failover: {number} of {trials} trials of each of {len(causes)} causes")
        for _ in range(partitions):
            found.append(part(arena))
    return found


def rows(trials: Sequence[Trial]) -> list[Row]:
    """Pure."""
    found = []
    for cause in CAUSES:
        of_cause = [trial for trial in trials if trial.cause == cause]
        for family in _FAMILIES if of_cause else ():
            taken = [trial.failover_ms(family) for trial in of_cause]
            for percent, target in ((50, P50_TARGET_MS), (99, P99_TARGET_MS)):
                name = f"failover.{cause}.{family}.p{percent}_ms"
                found.append(Row(name, percentile(taken, percent), "ms", target))
    overlaps = [each for trial in trials for each in trial.two_owners_ms.values()]
    if overlaps:
        found.append(Row("heal.two_owners_ms", max(overlaps), "ms", TWO_OWNERS_TARGET_MS))
    return found


def samples(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """As they are stored."""
    return [asdict(trial) for trial in trials]
