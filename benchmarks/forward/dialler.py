"""Counts connections for others: `python -m benchmarks.forward.dialler`, told by lines of `ADDRESS PORT SECONDS`.

A process of its own, so that nothing else of Python is in the way.
"""

from __future__ import annotations

import sys
import time

from benchmarks.forward.dialling import dial


def connections_per_second(address: str, port: int, seconds: float) -> float:
    """New connections, one after another; those that fail do not count."""
    begun, taken = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        taken += dial(address, port) is True
    return taken / passed


def main() -> None:
    """Answer each line of input by one line, connections per second."""
    for line in sys.stdin:
        address, port, seconds = line.split()
        print(connections_per_second(address, int(port), float(seconds)), flush=True)


if __name__ == "__main__":
    main()
