"""The LAN as one of slow links, and more clients on it: so that it counts whose links packets pass."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from lab.addressing import HostAddresses
from lab.errors import LabError
from lab.host import Host
from lab.namespaces import Surroundings, run_in
from lab.network import INTERFACE, Network

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lab.lab import Lab

RATE: Final = 100e6
"""Bits a second, of each node's link in either direction."""
_FIRST_NUMBER: Final = 201
"""Of a client more; below what the pool has."""
_QUEUE: Final = "latency 60ms"
_BURST: Final = "burst 128kb"


@contextmanager
def slow(lab: Lab) -> Iterator[None]:
    """Every node's link has RATE and a short queue, either way, as long as this lasts. Raises LabError.

    That of the node is Linux' own, which knows priorities; that of the switch does not.
    """
    network = Network(lab.name)
    nodes = [(host.network, INTERFACE) for host in lab.nodes.values()]
    ends = [(network.lan, node) for node in lab.nodes] + nodes
    for path, device in ends:
        _tc(path, f"qdisc add dev {device} root handle 1: tbf rate {RATE:.0f}bit {_BURST} {_QUEUE}")
    for path, device in nodes:
        _tc(path, f"qdisc add dev {device} parent 1:1 pfifo_fast")
    try:
        yield
    finally:
        for path, device in ends:
            _tc(path, f"qdisc delete dev {device} root")


def add_clients(lab: Lab, count: int) -> Sequence[Host]:
    """So many hosts on the LAN, each with a link of its own; they go with the lab. Raises LabError."""
    network, added = Network(lab.name), []
    for number in range(_FIRST_NUMBER, _FIRST_NUMBER + count):
        each = HostAddresses(f"client-{number}", number)
        network.connect(each, ())
        added.append(Host(each.name, each.ipv4, each.ipv6, each.mac_address, network.path(each.name), {}))
    return added


def _tc(network: Path, words: str) -> None:
    done = run_in(
        Surroundings(network),
        lambda: subprocess.run(["tc", *words.split()], capture_output=True, text=True, check=False),
    )
    if done.returncode != 0:
        raise LabError(f"tc {words} in {network}: {done.stderr.strip()}")
