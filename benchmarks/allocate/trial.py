"""One contestant against one fresh API server: N Services wait, it is started, and everything is counted."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from benchmarks.allocate import services, usage, writes
from benchmarks.allocate.running import Running, running
from benchmarks.allocate.usage import Usage
from benchmarks.allocate.watch import Watch
from lab.api_client import UNREACHABLE, Api, ApiError
from lab.api_server import ApiServer
from lab.errors import LabError

if TYPE_CHECKING:
    from benchmarks.allocate.contestants import Contestant
    from benchmarks.allocate.writes import Writes
    from lab.progress import Progress

STEADY_SERVICES: Final = 200
STEADY_RATE: Final = 10.0
"""Services per second."""

_PATIENCE: Final = 60.0
"""Seconds without any Service served after which a contestant is given up."""
_AFTERGLOW: Final = 5.0
"""The same, once it has ended."""
_CALM: Final = 2.0
"""Seconds without a write after which a contestant is done, Events and all."""
_CALM_TRIES: Final = 60


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    services: int
    first_s: float
    """Seconds from the start of the process until the first of the Services was seen with an address."""
    last_s: float
    """The same of the last one."""
    used: Usage
    """From the start until nothing was written any more."""
    peak_rss: int
    """Bytes, until the end of the trial."""
    writes: Writes
    """By the contestant, until nothing was written any more."""
    steady_s: list[float] = field(default_factory=list)
    """Seconds from sending the create to the address, for each Service of the steady state."""

    @property
    def rate(self) -> float:
        """Services per second, the start of the process included."""
        return self.services / self.last_s

    def as_json(self) -> dict[str, Any]:
        """As it is stored among the samples."""
        return {
            "services": self.services,
            "first_s": round(self.first_s, 3),
            "last_s": round(self.last_s, 3),
            "per_s": round(self.rate, 1),
            "cpu_s": round(self.used.cpu_s, 2),
            "peak_rss_bytes": self.peak_rss,
            "writes": dict(self.writes.most_common()),
            "steady_s": [round(each, 5) for each in self.steady_s],
        }


def run(contestant: Contestant, count: int, progress: Progress, *, steady: bool = False) -> Result:
    """Start it with `count` Services; if `steady`, then create further ones at 10 a second. Raises LabError."""
    progress(f"{contestant.name}, {count:,} Services ...")
    with ApiServer(controller_manager=False) as server:
        try:
            result = asyncio.run(_run(server, contestant, count, progress, steady=steady))
        except (ApiError, *UNREACHABLE) as error:
            raise LabError(f"a request of the benchmark failed: {error!r}") from None
    progress(f"{contestant.name}, {count:,} Services: {result.last_s:.2f} s, {result.rate:.0f}/s")
    return result


async def _run(
    server: ApiServer, contestant: Contestant, count: int, progress: Progress, *, steady: bool
) -> Result:
    kubeconfig = contestant.prepare(server)
    pki = server.folder / "pki"
    api = Api(server.url, pki / "ca.crt", pki / "probe.pem")
    async with Watch.over(api) as watch:
        await services.create(api, ["rehearsal"])
        with running(server.folder, contestant.command(kubeconfig, again=False)) as rehearsing:
            await _serve(watch, 1, rehearsing, contestant.patience)
            await _calm(server, progress)
        await services.create(api, services.names("waiting", count))
        before = await _written(server)
        with running(server.folder, contestant.command(kubeconfig, again=True)) as acting:
            await _serve(watch, 1 + count, acting, _PATIENCE)
            moments = list(watch.moments.values())[1:]
            after = await _calm(server, progress)
            used = usage.of_tree(acting.process)
            steady_s = await _steady(api, watch, acting) if steady else []
            peak = usage.of_tree(acting.process).peak_rss
    first, last = moments[0] - acting.begun, moments[-1] - acting.begun
    return Result(count, first, last, used, peak, after - before, steady_s)


async def _serve(watch: Watch, count: int, contestant: Running, patience: float) -> None:
    """Return when so many have been seen with an address. Raises LabError with what the contestant said."""
    grown = time.monotonic()
    while len(watch.moments) < count:
        if await watch.grown(1.0):
            grown = time.monotonic()
        ended = not contestant.process.is_alive()
        if time.monotonic() - grown > (_AFTERGLOW if ended else patience):
            state = "ended" if ended else "serves no more"
            progress = f"{len(watch.moments)} of {count} Services"
            raise LabError(f"the controller {state} after {progress}; the end of its output:\n{contestant.said()}")


async def _steady(api: Api, watch: Watch, contestant: Running) -> list[float]:
    sent: dict[str, float] = {}
    begun, already = time.monotonic(), len(watch.moments)

    async def create(name: str, moment: float) -> None:
        await asyncio.sleep(moment - time.monotonic())
        sent[name] = time.monotonic()
        await services.create(api, [name])

    names = services.names("steady", STEADY_SERVICES)
    creations = (create(name, begun + number / STEADY_RATE) for number, name in enumerate(names))
    await asyncio.gather(*creations, _serve(watch, already + len(names), contestant, _PATIENCE))
    return [watch.moments[name] - sent[name] for name in names]


async def _written(server: ApiServer) -> Writes:
    return writes.parse(await asyncio.to_thread(server.kubectl, "get", "--raw", "/metrics"))


async def _calm(server: ApiServer, progress: Progress) -> Writes:
    """What had been written when nothing more was, but for Leases.

    A controller that never comes to rest is counted until patience ends: its writes are what it costs.
    """
    before = await _written(server)
    for _ in range(_CALM_TRIES):
        await asyncio.sleep(_CALM)
        now = await _written(server)
        if writes.beside_leases(now) == writes.beside_leases(before):
            return now
        before = now
    progress("it goes on writing although every Service is served: counted until now")
    return before
