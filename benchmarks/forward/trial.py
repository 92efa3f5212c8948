"""One contestant on one node: started with so many Services, then left in peace, then given changes."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from benchmarks.allocate import usage
from benchmarks.forward import objects
from benchmarks.forward.dialling import PAUSE, Changes, Unanswered, await_all, await_change
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from benchmarks.forward.contestants import Contestant
    from benchmarks.forward.site import ForwardingSite
    from lab.api_client import Api
    from lab.processes import Process

T = TypeVar("T")

PROCESS: Final = "contestant"
ROLLING_SLICES: Final = 1_000
ROLLING_SECONDS: Final = 10.0

_SAMPLE: Final = 64
_COLD_PATIENCE: Final = 600.0
_CHANGE_PATIENCE: Final = 120.0
_SPACING: Final = 1.1
"""Seconds from one change to the next: longer than kube-proxy waits between two of its rounds."""
_IDLE_SECONDS: Final = 10.0
_CALM_SHARE: Final = 0.05
"""Of a core, below which a contestant has come to rest."""
_CALM_TRIES: Final = 60
_LOG_LINES: Final = 15


@dataclass(slots=True)
class Result:
    """What came of it; seconds and bytes."""

    services: int
    cold_s: float
    """From the start of the process until the last Service takes connections."""
    idle_cpu: float = 0.0
    """Of a core, while nothing happens."""
    change_s: list[float] = field(default_factory=list)
    """From sending the change of a slice until packets of a new connection go where it says."""
    rolling_s: list[float] = field(default_factory=list)
    """The same of each of ROLLING_SLICES that change evenly over ROLLING_SECONDS."""
    rss: int = 0
    """At the end."""
    peak_rss: int = 0

    def as_json(self) -> dict[str, Any]:
        """As it is stored among the samples."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Trial:
    """One contestant's turn."""

    site: ForwardingSite
    api: Api
    contestant: Contestant
    services: int

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Result]:
        """Start it on a node without any rule; it has programmed everything when the block begins.

        It is ended after the block, and what it programmed stays. Raises LabError.
        """
        self.site.flush_rules(self.contestant.stand)
        argv = self.contestant.command(self.site)
        begun = time.monotonic()
        process = self.site.run(PROCESS, self.contestant.stand.node, argv)
        try:
            # Some from everywhere first: of what is loaded in order, a later one must not wait for the look at all.
            numbers = [*self._some(_SAMPLE), *range(1, self.services + 1)]
            ready = await self._dial(
                lambda: await_all(map(objects.cluster_ip, numbers), objects.PORT, _COLD_PATIENCE)
            )
            result = Result(self.services, ready - begun)
            yield result
            result.rss, result.peak_rss = usage.resident(process), usage.of_tree(process).peak_rss
        finally:
            self.site.end(PROCESS)

    async def measure_idle(self, result: Result) -> None:
        """Once it has come to rest: what it costs that nothing happens."""
        process = self.site.process(PROCESS)
        for _ in range(_CALM_TRIES):
            if await _share(process, 1.0) < _CALM_SHARE:
                break
        result.idle_cpu = await _share(process, _IDLE_SECONDS)

    async def measure_changes(self, result: Result, count: int) -> None:
        """Change one slice at a time, there and back. Raises LabError."""
        for number in self._some(max(count // 2, 1)):
            for answers in (False, True):
                address = objects.cluster_ip(number)
                watching = asyncio.create_task(self._until(address, answers=answers))
                begun = time.monotonic()
                await objects.change(self.api, number, answers=answers)
                result.change_s.append(await watching - begun)
                await asyncio.sleep(_SPACING)

    async def measure_rolling(self, result: Result) -> None:
        """Change many slices at a steady pace, and then all of them back. Raises LabError."""
        numbers = self._some(ROLLING_SLICES)
        for answers in (False, True):
            result.rolling_s += await self._roll(numbers, answers=answers)

    async def _roll(self, numbers: Sequence[int], *, answers: bool) -> list[float]:
        changes, sent = Changes(objects.PORT), dict[str, float]()
        all_sent, given_up = threading.Event(), threading.Event()

        def look() -> None:
            while not given_up.is_set() and not (all_sent.is_set() and not changes.pending):
                changes.look()
                time.sleep(PAUSE)

        async def send(index: int, number: int) -> None:
            await asyncio.sleep(begun + index * ROLLING_SECONDS / len(numbers) - time.monotonic())
            address = objects.cluster_ip(number)
            sent[address] = time.monotonic()
            changes.expect(address, answers=answers)
            await objects.change(self.api, number, answers=answers)

        begun = time.monotonic()
        looking = asyncio.create_task(self._dial(look))
        sending = [asyncio.create_task(send(*entry)) for entry in enumerate(numbers)]
        try:
            await asyncio.gather(*sending)
            all_sent.set()
            async with asyncio.timeout(_CHANGE_PATIENCE):
                await asyncio.shield(looking)
        except TimeoutError:
            raise self._failure(f"{changes.pending} of {len(numbers)} changes are not seen") from None
        finally:
            given_up.set()
            for task in sending:
                task.cancel()
            await looking
        return [changes.seen[address] - moment for address, moment in sent.items()]

    async def _until(self, address: str, *, answers: bool) -> float:
        return await self._dial(
            lambda: await_change(address, objects.PORT, answers=answers, patience=_CHANGE_PATIENCE)
        )

    def _some(self, count: int) -> list[int]:
        """Different Services, from everywhere, the same for every contestant."""
        numbers = range(1, self.services + 1)
        return random.Random(self.services).sample(numbers, min(count, self.services))  # noqa: S311

    async def _dial(self, function: Callable[[], T]) -> T:
        """Call a function with the client's network, in a thread. Raises LabError with what the contestant said."""
        try:
            return await asyncio.to_thread(self.site.call, self.contestant.stand.client, function)
        except Unanswered as error:
            raise self._failure(str(error)) from None

    def _failure(self, what: str) -> LabError:
        said = self.site.log(PROCESS).read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return LabError(f"{self.contestant.name}: {what}; the end of its output:\n" + "\n".join(said))


async def _share(process: Process, seconds: float) -> float:
    """Of a core that it used in that time."""
    begun, before = time.monotonic(), usage.of_tree(process).cpu_s
    await asyncio.sleep(seconds)
    return (usage.of_tree(process).cpu_s - before) / (time.monotonic() - begun)
