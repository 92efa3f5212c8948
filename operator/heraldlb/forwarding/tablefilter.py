"""A socket filter (classic BPF, Linux Documentation/networking/filter.rst): passes what nf_tables notifies of our
tables and drops all else in the kernel, as kube-proxy changes its own by the thousand, and so do we. Pure.

Elements that are added are dropped, too, whoever adds them. They are nearly all that we do ourselves, and nothing
that forwards is lost by them.
"""

from __future__ import annotations

import struct
import sys
from typing import Final

from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding import nftmessages as nf
from heraldlb.forwarding.frame import TABLE

INSTRUCTION: Final = struct.Struct("=HBBI")
"""struct sock_filter: code, jump if true, jump if false, operand; in the host's byte order."""

DEPTH: Final = 100
"""Messages of one datagram that are looked at. The kernel puts as many into one as fit into 3,776 octets or so, and
each takes 40 or more. There are no loops in classic BPF, so each has its own instructions."""

_LOAD_BYTE_AT_X: Final = 0x50
_LOAD_WORD_AT_X: Final = 0x40
_LOAD_X_MEMORY: Final = 0x61
_LOAD_CONSTANT: Final = 0x00
_STORE: Final = 0x02
_SHIFT_LEFT: Final = 0x64
_OR_X: Final = 0x4C
_ADD: Final = 0x04
_ADD_X: Final = 0x0C
_AND: Final = 0x54
_JUMP_EQUAL: Final = 0x15
_RETURN: Final = 0x06

_POSITION, _SCRATCH = 0, 1
_WHOLE: Final = 0x4_0000

_LITTLE: Final = sys.byteorder == "little"
_LENGTH: Final = (1, 0) if _LITTLE else (2, 3)
"""Where the higher and the lower octet of a message's length are; it has no more than two that count."""
_TYPE: Final = 4 if _LITTLE else 5
"""Where the lower octet of its type is."""
_NAME: Final = nl.PAYLOAD + 4
"""Where the first attribute's value begins, which is the table's name in all notifications."""

_Instruction = tuple[int, int, int, int]


def assemble(prefix: bytes = TABLE.encode()) -> bytes:
    """The program for tables whose names begin with `prefix`, of eight octets.

    A load beyond the datagram's end ends the program and drops the datagram.
    """
    first, second = struct.unpack("!II", prefix)
    program: list[_Instruction] = [(_LOAD_CONSTANT, 0, 0, 0), (_STORE, 0, 0, _POSITION)]
    for _ in range(DEPTH):
        program += [
            (_LOAD_X_MEMORY, 0, 0, _POSITION),
            (_LOAD_BYTE_AT_X, 0, 0, _TYPE),
            (_JUMP_EQUAL, 5, 0, nf.NEW_ELEMENT & 0xFF),
            (_LOAD_WORD_AT_X, 0, 0, _NAME),
            (_JUMP_EQUAL, 0, 3, first),
            (_LOAD_WORD_AT_X, 0, 0, _NAME + 4),
            (_JUMP_EQUAL, 0, 1, second),
            (_RETURN, 0, 0, _WHOLE),
            *_NEXT,
        ]
    program.append((_RETURN, 0, 0, 0))
    return b"".join(INSTRUCTION.pack(*each) for each in program)


_NEXT: Final[list[_Instruction]] = [
    (_LOAD_BYTE_AT_X, 0, 0, _LENGTH[0]),
    (_SHIFT_LEFT, 0, 0, 8),
    (_STORE, 0, 0, _SCRATCH),
    (_LOAD_BYTE_AT_X, 0, 0, _LENGTH[1]),
    (_LOAD_X_MEMORY, 0, 0, _SCRATCH),
    (_OR_X, 0, 0, 0),
    (_ADD, 0, 0, 3),
    (_AND, 0, 0, 0xFFFF_FFFC),
    (_LOAD_X_MEMORY, 0, 0, _POSITION),
    (_ADD_X, 0, 0, 0),
    (_STORE, 0, 0, _POSITION),
]
"""Goes on to where the next message begins."""
