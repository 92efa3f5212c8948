"""As many octets as the path takes; as a program, a client of several streams.

The client's first octet says which way they flow. It prints how many came through in a second, by all streams
together.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Final, Literal

Direction = Literal["upload", "download"]

_OCTETS: Final = 1 << 18
_COUNT: Final = 8
_PATIENCE: Final = 30.0
"""Seconds in which a queue on the way is empty."""


def serve(listener: socket.socket) -> None:
    """For as long as the process lives, in threads that do not hold it."""
    threading.Thread(target=_accept, args=(listener,), name="bulk", daemon=True).start()


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve_one, args=(connection,), name="bulk", daemon=True).start()


def _serve_one(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        if connection.recv(1) == b"d":
            _send(connection, None)
        else:
            connection.sendall(_receive(connection, None).to_bytes(_COUNT, "big"))


def _send(connection: socket.socket, until: float | None) -> None:
    octets = bytes(_OCTETS)
    while until is None or time.monotonic() < until:
        connection.sendall(octets)


def _receive(connection: socket.socket, until: float | None) -> int:
    buffer, total = bytearray(_OCTETS), 0
    while until is None or time.monotonic() < until:
        octets = connection.recv_into(buffer)
        if not octets:
            break
        total += octets
    return total


def transfer(address: str, port: int, direction: Direction, begin: float, seconds: float) -> float:
    """Octets a second that arrive over one connection, what is in queues at the end included. Raises OSError.

    `begin`: a moment of time.monotonic(), so that all streams of all clients flow at the same time.
    """
    with socket.create_connection((address, port), timeout=_PATIENCE) as connection:
        time.sleep(max(begin - time.monotonic(), 0.0))
        begun = time.monotonic()
        connection.sendall(direction[:1].encode())
        if direction == "download":
            octets = _receive(connection, begun + seconds)
        else:
            _send(connection, begun + seconds)
            connection.shutdown(socket.SHUT_WR)
            octets = int.from_bytes(connection.recv(_COUNT, socket.MSG_WAITALL), "big")
        return octets / (time.monotonic() - begun)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("direction", choices=("upload", "download"))
    parser.add_argument("streams", type=int)
    parser.add_argument("begin", type=float)
    parser.add_argument("seconds", type=float)
    given = parser.parse_args()
    rates: list[float] = []

    def run() -> None:
        rates.append(transfer(given.address, given.port, given.direction, given.begin, given.seconds))

    threads = [threading.Thread(target=run) for _ in range(given.streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(rates))
    return 0 if len(rates) == given.streams else 1


if __name__ == "__main__":
    sys.exit(main())
