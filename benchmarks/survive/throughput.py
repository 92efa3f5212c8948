"""Bytes a second: what the detour costs where links are no limit, and what it gains where they are."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, get_args

from benchmarks.survive import objects
from benchmarks.survive.bulk import Direction
from benchmarks.survive.links import RATE, add_clients, slow
from benchmarks.survive.server import BULK_PORT
from benchmarks.survive.stand import FAMILIES
from lab import binaries
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.survive.stand import Stand
    from lab.host import Host
    from lab.progress import Progress

DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
STREAMS: Final = {"one_stream": 1, "four_streams": 4}
"""Of TCP, from one client to one endpoint on a node that does not announce."""
SINGLE: Final = "single"
PER_CLIENT: Final = "per_client"
SHARINGS: Final = (SINGLE, PER_CLIENT)
"""How the addresses are announced to CLIENTS, whose connections go to all endpoints."""
CLIENTS: Final = 8
"""Where links are slow; each has so many streams: more than enough to fill all nodes' links."""
_EACH: Final = 4
_SECONDS: Final = 2.0
_SLOW_SECONDS: Final = 6.0
_LEAD: Final = 2.0
"""Seconds in which all clients are connected."""
_ATTEMPTS: Final = 3
"""Where links or processors are at their limit, heartbeats are late or lost; an address may move, which
resets what does not survive."""
_PATIENCE: Final = 90.0
_REPOSITORY: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Rate:
    """Bits a second, by one way."""

    way: str
    family: str
    what: str
    """One of STREAMS or SHARINGS."""
    direction: Direction
    bits: float


def run(stand: Stand, rounds: int, progress: Progress) -> list[Rate]:
    """Both. Raises LabError."""
    found = _streams(stand, rounds)
    clients = add_clients(stand.lab, CLIENTS)
    stand.announce_from(next(iter(stand.lab.nodes)))
    with slow(stand.lab):
        found += _shared(stand, clients, SINGLE)
        stand.share_among_all(clients)
        found += _shared(stand, clients, PER_CLIENT)
    for each in found:
        progress(f"{each.way}, {each.family}, {each.what}, {each.direction}: {each.bits / 1e6:,.0f} Mbit/s")
    return found


def _streams(stand: Stand, rounds: int) -> list[Rate]:
    """Ways take turns, so that what else the machine does falls on each alike; the median counts."""
    taken: dict[tuple[str, str, str, Direction], list[float]] = {}
    for _ in range(rounds):
        for family, what, direction, way in product(FAMILIES, STREAMS, DIRECTIONS, stand.setup.ways):
            address = stand.address(way, family, objects.STREAM)
            bits = _undisturbed(partial(_iperf3, stand, address, STREAMS[what], direction))
            taken.setdefault((way, family, what, direction), []).append(bits)
    return [Rate(*which, median(bits)) for which, bits in taken.items()]


def _iperf3(stand: Stand, address: str, parallel: int, direction: Direction) -> float:
    argv = [str(binaries.find("iperf3")), "--client", address, f"--port={objects.STREAM_PORT}", "--json"]
    argv += [f"--time={_SECONDS:.0f}", f"--parallel={parallel}", *["--reverse"] * (direction == "download")]
    said = json.loads(stand.lab.client.exec(argv, timeout=_PATIENCE, check=False).stdout)
    if "error" in said:
        raise LabError(f"iperf3 cannot {direction} by {address}: {said['error']}")
    bits: float = said["end"]["sum_received"]["bits_per_second"]
    return bits


def _shared(stand: Stand, clients: Sequence[Host], what: str) -> list[Rate]:
    return [
        Rate(
            way,
            family,
            what,
            direction,
            _undisturbed(partial(_all_at_once, clients, stand.address(way, family), direction)),
        )
        for way in stand.setup.ways
        for family in FAMILIES
        for direction in DIRECTIONS
    ]


def _undisturbed(attempt: Callable[[], float]) -> float:
    """Of the first attempt in which no stream is cut off. Raises LabError."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(LabError):
            return attempt()
    return attempt()


def _all_at_once(clients: Sequence[Host], address: str, direction: Direction) -> float:
    """Bits a second of all clients together. Raises LabError."""
    begin = time.monotonic() + _LEAD
    words = [address, str(BULK_PORT), direction, str(_EACH), str(begin), str(_SLOW_SECONDS)]
    argv = [sys.executable, "-m", "benchmarks.survive.bulk", *words]
    running = [
        each.popen(argv, cwd=_REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for each in clients
    ]
    try:
        said = [process.communicate(timeout=_PATIENCE) for process in running]
    finally:
        for process in running:
            process.kill()
    failed = [error for process, (_, error) in zip(running, said, strict=True) if process.returncode]
    if failed:
        raise LabError(f"{len(failed)} of {len(clients)} clients cannot {direction} by {address}: {failed[0]}")
    return 8 * sum(float(out) for out, _ in said)


def links(rate: Rate) -> float:
    """By how many nodes' links it is as fast."""
    return rate.bits / RATE
