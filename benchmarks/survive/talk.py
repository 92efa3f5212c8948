"""What is said on a connection that is to last, so that either side notices the smallest gap. Pure.

The client begins with a line of JSON, an `Opening`; the server answers with one, a `Hello`. After that both send
frames of 9 octets, a kind and a number: the client asks questions, which the server answers by number; the server
tells news of its own accord, as over a WebSocket. Or else, the server sends octets of a known pattern and nothing
more. Numbers count from 0 on every connection, so an answer by anybody who has not taken part from the start is
wrong.

Over UDP every datagram says all: a question is a frame, its answer one with a `Hello` behind it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_FRAME: Final = struct.Struct("!BQ")
_PERIOD: Final = 1 << 18


class Kind(IntEnum):
    """Of a frame."""

    QUESTION = 1
    ANSWER = 2
    NEWS = 3
    BYE = 4
    """The client's last: whatever comes after it is no loss."""


class GapError(Exception):
    """Something is missing, doubled or foreign in what was received; says what."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What the client wants. Seconds and octets a second; 0 is none."""

    number: int
    """Of the connection, for those who compare what both sides tell of it."""
    news: float = 0.0
    """From one piece of news to the next."""
    download: int = 0


@dataclass(frozen=True, slots=True)
class Hello:
    """Who answers, and whom it sees."""

    pod: str
    node: str
    client: str
    """The address that the connection comes from, as the server sees it."""


def line(said: Opening | Hello) -> bytes:
    """As it is sent."""
    return json.dumps(asdict(said)).encode() + b"\n"


def frame(kind: Kind, number: int = 0) -> bytes:
    """As it is sent."""
    return _FRAME.pack(kind, number)


def take_line(received: bytearray) -> bytes | None:
    """The first line, taken away; None while it is not complete."""
    end = received.find(b"\n")
    if end < 0:
        return None
    first = bytes(received[:end])
    del received[: end + 1]
    return first


def take_frames(received: bytearray) -> Iterator[tuple[int, int]]:
    """Kinds and numbers of the complete frames, taken away."""
    whole = len(received) // _FRAME.size * _FRAME.size
    frames = bytes(received[:whole])
    del received[:whole]
    yield from _FRAME.iter_unpack(frames)


def answer(number: int, hello: Hello) -> bytes:
    """The datagram, as it is sent."""
    return frame(Kind.ANSWER, number) + line(hello)


def read_question(datagram: bytes) -> int:
    """Its number. Raises GapError."""
    number, rest = _read(Kind.QUESTION, datagram)
    if rest:
        raise GapError("got a question and more")
    return number


def read_answer(datagram: bytes) -> tuple[int, Hello]:
    """The number of the question, and who says it. Raises GapError."""
    number, rest = _read(Kind.ANSWER, datagram)
    try:
        return number, Hello(**json.loads(rest))
    except (ValueError, TypeError) as error:
        raise GapError(f"got an answer of nobody: {error}") from None


def _read(expected: Kind, datagram: bytes) -> tuple[int, bytes]:
    if len(datagram) < _FRAME.size:
        raise GapError(f"got {len(datagram)} octets")
    kind, number = _FRAME.unpack_from(datagram)
    if kind != expected:
        raise GapError(f"got frame {kind} {number}")
    return number, datagram[_FRAME.size :]


_PATTERN: Final = b"".join(number.to_bytes(4, "big") for number in range(_PERIOD)) * 2


def download(position: int, octets: int) -> bytes:
    """So many octets, at most a MiB, from that position of an endless download."""
    begin = position % (_PERIOD * 4)
    return _PATTERN[begin : begin + octets]
