"""Nothing fails, but everything is slow or lossy: an address that moves then has moved for nothing."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from benchmarks.rows import Row
from heraldlb.speaker.constants import MEMBERSHIP_PORT
from lab.cpu_limit import limited, throttled
from lab.errors import LabError
from lab.network import nft
from lab.owners import moves
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from benchmarks.speaker.shop import Shop
    from benchmarks.speaker.watcher import Watcher
    from lab.progress import Progress

AGENT_MILLICORES: Final = 200
LOSS_PERCENT: Final = 10
DEFAULT_MINUTES: Final = 2.0
_SPINNERS_PER_CORE: Final = 2
_ASK_EVERY: Final = 0.05
"""Seconds."""
_CALM: Final = 15.0
"""Seconds without a move after which the addresses are where they belong."""
_CALM_PATIENCE: Final = 400.0
"""Longer than a node that has just come is kept from owning anything."""
_REPORT_EVERY: Final = 60.0

_LOSS: Final = f"""
table inet loss {{
    chain input {{
        type filter hook input priority -300; policy accept;
        udp dport {MEMBERSHIP_PORT} numgen random mod 100 < {LOSS_PERCENT} drop
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Watch:
    """What was seen in one condition."""

    condition: str
    minutes: float
    moves: int
    """By which an address was answered for by another node than before."""
    silence_ms: float
    """The longest time without an answer for one of them."""
    restarts: int
    """Of agents."""
    throttled: int = 0
    """Times that an agent had used up what it may."""


@contextmanager
def saturated(shop: Shop) -> Iterator[None]:
    """Every core has other work to do, and each agent no more than its limit. Raises LabError."""
    spinning = ["sh", "-c", "while :; do :; done"]
    with ExitStack() as stack:
        for node in shop.lab.nodes:
            agent = shop.lab.process(node, "agent")
            try:
                stack.enter_context(limited(shop.lab.name, node, [agent], AGENT_MILLICORES))
            except OSError as error:
                raise LabError(f"an agent cannot be limited to {AGENT_MILLICORES} millicores: {error}") from None
        for _ in range(_SPINNERS_PER_CORE * len(os.sched_getaffinity(0))):
            # On a host of the lab, so that it ends with the lab at the latest.
            spinner = shop.lab.client.popen(spinning, stdout=subprocess.DEVNULL)
            stack.callback(spinner.wait)
            stack.callback(spinner.kill)
        yield


@contextmanager
def lossy(shop: Shop) -> Iterator[None]:
    """Every node loses some of the heartbeats that reach it. Raises LabError."""
    with ExitStack() as stack:
        for host in shop.lab.nodes.values():
            nft(_LOSS, host.network)
            stack.callback(nft, "delete table inet loss\n", host.network)
        yield


CONDITIONS: Final[dict[str, Callable[[Shop], AbstractContextManager[None]]]] = {
    "saturated": saturated,
    "lossy": lossy,
}


def run(
    shop: Shop, minutes: float, progress: Progress, conditions: Sequence[str] = tuple(CONDITIONS)
) -> list[Watch]:
    """For so long in each condition. Raises LabError."""
    with shop.watcher(_ASK_EVERY) as watcher:
        watcher.ask(shop.addresses)
        return [_watch(shop, watcher, condition, minutes, progress) for condition in conditions]


def _watch(shop: Shop, watcher: Watcher, condition: str, minutes: float, progress: Progress) -> Watch:
    def calm() -> bool:
        since = time.monotonic() - _CALM
        macs = ({said.mac for said in watcher.answers(each, since)} for each in shop.addresses)
        return time.monotonic() > begun + _CALM and all(len(each) == 1 for each in macs)

    begun = time.monotonic()
    wait_for(f"no address to move for {_CALM:.0f} s", calm, _CALM_PATIENCE)
    watcher.forget()
    before, begun = shop.agents(), time.monotonic()
    with CONDITIONS[condition](shop):
        while (left := begun + minutes * 60 - time.monotonic()) > 0:
            time.sleep(min(left, _REPORT_EVERY))
            spent = (time.monotonic() - begun) / 60
            progress(f"stability, {condition}: {_moves(shop, watcher)} moves in {spent:.1f} minutes")
        waits = sum(throttled(shop.lab.name, node) for node in shop.lab.nodes) if condition == "saturated" else 0
        found, silence = _moves(shop, watcher), _silence(shop, watcher, begun, time.monotonic())
    after = shop.agents()
    restarts = sum(abs(after.get(pod, 0) - before.get(pod, 0)) for pod in before | after)
    return Watch(condition, minutes, found, round(silence * 1000, 1), restarts, waits)


def _moves(shop: Shop, watcher: Watcher) -> int:
    return sum(moves(watcher.answers(each)) for each in shop.addresses)


def _silence(shop: Shop, watcher: Watcher, begun: float, ended: float) -> float:
    """Seconds, of the address that was silent for longest."""
    times = ([begun, *(said.time for said in watcher.answers(each)), ended] for each in shop.addresses)
    return max(later - earlier for each in times for earlier, later in pairwise(each))


def rows(watches: Sequence[Watch]) -> list[Row]:
    """Pure."""
    found = []
    for watch in watches:
        found.append(Row(f"stability.{watch.condition}_false_failovers", watch.moves, "", 0.0))
        found.append(Row(f"stability.{watch.condition}_restarts", watch.restarts, "", 0.0))
        found.append(Row(f"stability.{watch.condition}_silence_ms", watch.silence_ms, "ms"))
    return [*found, *(Row("stability.minutes", watch.minutes, "min") for watch in watches[:1])]


def samples(watches: Sequence[Watch]) -> list[dict[str, Any]]:
    """As they are stored."""
    return [asdict(watch) for watch in watches]
