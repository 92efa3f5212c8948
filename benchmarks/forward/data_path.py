"""What packets pay for a Service: new connections a second, and bytes a second over one.

The rules alone are measured; who wrote them has ended. Differences are smaller than those between two hosts, and
than what the machine does from one second to the next. So the ways take short turns, in every order, and are
compared turn by turn; and each contestant's rules are tried on both nodes.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import geometric_mean, median
from typing import TYPE_CHECKING, Final

from benchmarks.forward import objects
from benchmarks.forward.site import OPEN_PORT, STREAM_PORT
from lab import binaries
from lab.errors import LabError
from lab.namespaces import Surroundings, run_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.forward.contestants import Contestant
    from benchmarks.forward.site import ForwardingSite

DIRECT: Final = "direct"
_DIALLING_SECONDS: Final = 0.2
_STREAMING_SECONDS: Final = 1
_REST: Final = 0.1
"""Seconds before each, for the server to have closed what the one before has opened."""
_DIALLED_PER_STREAM: Final = 4
"""Turns of dialling for each of streaming."""
_REPOSITORY: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Way:
    """From a client to a server: through a Service, or straight to an endpoint."""

    name: str
    client: str
    web: tuple[str, int]
    stream: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one way on one node, turn by turn; the same index is the same turn of all ways."""

    connections: list[float] = field(default_factory=list)
    """New ones a second."""
    throughput: list[float] = field(default_factory=list)
    """Bits a second, of one TCP connection."""


Turns = dict[str, Rates]
"""By the names of the ways, while nothing changed its place."""


def ways(services: int, contestants: Sequence[Contestant]) -> tuple[Way, ...]:
    """Through the last of so many Services by each contestant's rules, and past them. Pure."""
    through = (objects.cluster_ip(services), objects.PORT), (objects.cluster_ip(objects.STREAM), objects.PORT)
    past = (objects.endpoint(services), OPEN_PORT), (objects.endpoint(objects.STREAM), STREAM_PORT)
    return (
        Way(DIRECT, contestants[0].stand.client, *past),
        *(Way(each.name, each.stand.client, *through) for each in contestants),
    )


def ratio(some: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> float:
    """Of rates taken in the same turns: the median of each placement, and the geometric mean of those. Pure."""
    return geometric_mean(
        median(own / other for own, other in zip(*placement, strict=True))
        for placement in zip(some, others, strict=True)
    )


def measure(site: ForwardingSite, services: int, contestants: Sequence[Contestant], rounds: int) -> Turns:
    """Of contestants whose rules are there; each round dials several times and streams once. Raises LabError."""
    among = ways(services, contestants)
    taken = {way.name: Rates() for way in among}
    with ExitStack() as stack:
        diallers = {client: stack.enter_context(_dialler(site, client)) for client in {way.client for way in among}}
        # Whoever comes after another must not always come after the same one.
        orders = itertools.cycle(itertools.permutations(among))
        for turn, order in enumerate(itertools.islice(orders, rounds * _DIALLED_PER_STREAM)):
            for way in order:
                time.sleep(_REST)
                taken[way.name].connections.append(_connections(diallers[way.client], way))
                if turn % _DIALLED_PER_STREAM == 0:
                    taken[way.name].throughput.append(_throughput(site, way))
    return taken


@contextmanager
def _dialler(site: ForwardingSite, client: str) -> Iterator[subprocess.Popen[str]]:
    """A process that dials whenever it is told to, so that none has to start meanwhile."""
    argv = [sys.executable, "-m", "benchmarks.forward.dialler"]
    made = run_in(
        Surroundings(site.network.path(client)),
        lambda: subprocess.Popen(
            argv, cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ),
    )
    with made:
        try:
            yield made
        finally:
            made.kill()


def _connections(dialler: subprocess.Popen[str], way: Way) -> float:
    assert dialler.stdin is not None
    assert dialler.stdout is not None
    address, port = way.web
    dialler.stdin.write(f"{address} {port} {_DIALLING_SECONDS}\n")
    rate = float(dialler.stdout.readline() or 0)
    if rate == 0:
        raise LabError(f"{way.name}: {address} port {port} takes no connections")
    return rate


def _throughput(site: ForwardingSite, way: Way) -> float:
    address, port = way.stream
    argv = [
        str(binaries.find("iperf3")),
        "--client",
        address,
        f"--port={port}",
        f"--time={_STREAMING_SECONDS}",
        "--json",
    ]
    done = run_in(
        Surroundings(site.network.path(way.client)),
        lambda: subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False),
    )
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    ended: dict[str, dict[str, float]] = json.loads(done.stdout)["end"]
    return ended["sum_received"]["bits_per_second"]
