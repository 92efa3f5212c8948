"""Which connections and flows went on, from what both of their ends tell. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from benchmarks.survive.held import Fate
    from benchmarks.survive.talk import Hello


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of all that was held to one address over one protocol, through one event."""

    event: str
    way: str
    """By which the packets of the address went."""
    family: str
    protocol: str
    """`tcp` or `udp`."""
    held: int
    """Those that were open before and whose endpoint did not go."""
    kept: int
    """Of these, those that go on without an error at either end."""
    gone: int
    """Those whose endpoint went."""
    failures: Mapping[str, int] = field(default_factory=dict)
    silences: Sequence[float] = ()
    """Of each that was kept, the longest in seconds, in order."""

    @property
    def kept_ratio(self) -> float:
        return self.kept / self.held if self.held else 0.0

    def as_json(self) -> dict[str, Any]:
        """As it is stored among the samples."""
        return asdict(self)


def judge(
    event: str,
    way: str,
    family: str,
    protocol: str,
    fates: Iterable[Fate],
    lost: Mapping[int, str],
    went: Callable[[Hello], bool],
) -> Outcome:
    """`lost`: what servers tell of connections that ended, by number; `went`: whether an endpoint has gone."""
    failures, silences, gone = Counter[str](), list[float](), 0
    for fate in fates:
        if fate.hello is not None and went(fate.hello):
            gone += 1
        elif failure := _failure(fate, lost):
            failures[failure] += 1
        else:
            silences.append(fate.silence)
    held = len(silences) + failures.total()
    return Outcome(event, way, family, protocol, held, len(silences), gone, dict(failures), sorted(silences))


def _failure(fate: Fate, lost: Mapping[int, str]) -> str | None:
    if fate.failure is not None:
        return f"{fate.use.name}: client: {fate.failure}"
    return f"{fate.use.name}: server: {lost[fate.number]}" if fate.number in lost else None


def losses(log: str) -> Iterator[tuple[int, str]]:
    """Numbers of connections that a server has lost, as it printed them."""
    for each in log.splitlines():
        if each.startswith('{"lost"') and each.endswith("}"):
            told = json.loads(each)
            yield told["lost"], told["error"]
