"""Asks the kernel by real packets what it does with connections to Services.

All functions dial with the network of the calling thread.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

PAUSE: Final = 0.001
"""Seconds between two rounds of questions; what watches shares its cores with what is watched."""
_COLD_PAUSE: Final = 0.005
_PATIENCE: Final = 0.2
"""Seconds without an answer after which a connection counts as neither taken nor refused."""
_AT_ONCE: Final = 20
_RESET: Final = struct.pack("ii", 1, 0)


class Unanswered(Exception):  # noqa: N818 - what was found out, not what went wrong here
    """Something did not come to be so in time; says what."""


def dial(address: str, port: int) -> bool | None:
    """Whether a connection is taken (True) or refused (False); None if neither.

    It is reset at once, so that neither side keeps its port.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        try:
            connection.connect((address, port))
        except ConnectionRefusedError:
            return False
        except OSError:
            return None
        return True


def await_all(addresses: Iterable[str], port: int, patience: float) -> float:
    """When (time.monotonic()) the last that had to be waited for took a connection. Raises Unanswered.

    `patience`: seconds for all together.
    """
    latest = time.monotonic()
    deadline = latest + patience
    for address in addresses:
        is_late = False
        while dial(address, port) is not True:
            if time.monotonic() > deadline:
                raise Unanswered(f"{address} port {port} does not answer after {patience:.0f} s")
            is_late = True
            time.sleep(_COLD_PAUSE)
        if is_late:
            latest = time.monotonic()
    return latest


def await_change(address: str, port: int, *, answers: bool, patience: float) -> float:
    """When the address first took, or refused, a connection. Raises as `await_all`."""
    expected = Changes(port)
    expected.expect(address, answers=answers)
    deadline = time.monotonic() + patience
    while not expected.seen:
        if time.monotonic() > deadline:
            raise Unanswered(f"{address} port {port} is as it was after {patience:.0f} s")
        expected.look()
        time.sleep(PAUSE)
    return expected.seen[address]


class Changes:
    """Looks for many changes at once. `expect` may be called by another thread meanwhile."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._wanted: dict[str, bool] = {}
        self.seen: dict[str, float] = {}
        """When each address first did as expected, in time.monotonic()."""

    @property
    def pending(self) -> int:
        return len(self._wanted)

    def expect(self, address: str, *, answers: bool) -> None:
        """From now on look whether the address takes (or refuses) connections."""
        self._wanted[address] = answers

    def look(self) -> None:
        """Dial those that are expected longest, once each."""
        for address in list(self._wanted)[:_AT_ONCE]:
            if dial(address, self._port) is self._wanted[address]:
                self.seen[address] = time.monotonic()
                del self._wanted[address]
