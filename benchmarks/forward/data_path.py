"""What packets pay for a Service: new connections a second, and bytes a second over one.

The rules alone are measured; who wrote them has ended. All ways take turns, so that what else the machine does
falls on each alike.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.forward import objects
from benchmarks.forward.site import HERALD, KUBE_PROXY, OPEN_PORT, STREAM_PORT
from lab import binaries
from lab.errors import LabError
from lab.namespaces import Surroundings, run_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.forward.site import ForwardingSite

DIRECT: Final = "direct"
_SECONDS: Final = 2.0
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
    """Of one way, each the median of its turns."""

    connections: float
    """A second."""
    throughput: float
    """Bits a second, of one TCP connection."""


def ways(services: int) -> tuple[Way, ...]:
    """Through the last of so many Services, and past them. Pure."""
    through = (objects.cluster_ip(services), objects.PORT), (objects.cluster_ip(objects.STREAM), objects.PORT)
    past = (objects.endpoint(services), OPEN_PORT), (objects.endpoint(objects.STREAM), STREAM_PORT)
    return (
        Way(DIRECT, HERALD.client, *past),
        Way("Herald", HERALD.client, *through),
        Way("kube-proxy", KUBE_PROXY.client, *through),
    )


def measure(site: ForwardingSite, services: int, rounds: int) -> dict[str, Rates]:
    """By the names of the ways. Raises LabError."""
    connections: dict[str, list[float]] = {}
    throughput: dict[str, list[float]] = {}
    for _ in range(rounds):
        for way in ways(services):
            connections.setdefault(way.name, []).append(_connections(site, way))
            throughput.setdefault(way.name, []).append(_throughput(site, way))
    return {name: Rates(median(connections[name]), median(throughput[name])) for name in connections}


def _connections(site: ForwardingSite, way: Way) -> float:
    address, port = way.web
    argv = [sys.executable, "-m", "benchmarks.forward.dialling", address, str(port), str(_SECONDS)]
    rate = float(_run(site, way.client, argv))
    if rate == 0:
        raise LabError(f"{way.name}: {address} port {port} takes no connections")
    return rate


def _throughput(site: ForwardingSite, way: Way) -> float:
    address, port = way.stream
    argv = [str(binaries.find("iperf3")), "--client", address, f"--port={port}", f"--time={_SECONDS:.0f}", "--json"]
    ended: dict[str, dict[str, float]] = json.loads(_run(site, way.client, argv))["end"]
    return ended["sum_received"]["bits_per_second"]


def _run(site: ForwardingSite, host: str, argv: Sequence[str]) -> str:
    done = run_in(
        Surroundings(site.network.path(host)),
        lambda: subprocess.run(argv, cwd=_REPOSITORY, capture_output=True, text=True, timeout=60, check=False),
    )
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
