"""Classic BPF programs that keep every frame away from this process but ARP and neighbour discovery about its own
addresses (socket filters, Linux Documentation/networking/filter.rst)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from heraldlb.speaker import arp, ndp
from heraldlb.speaker.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV6

INSTRUCTION: Final = struct.Struct("=HBBI")
"""struct sock_filter: code, jump if true, jump if false, operand; in the host's byte order."""

LOAD_WORD: Final = 0x20
LOAD_HALF: Final = 0x28
LOAD_BYTE: Final = 0x30
_JUMP: Final = 0x05
_JUMP_EQUAL: Final = 0x15
_JUMP_GREATER: Final = 0x25
_JUMP_NOT_LESS: Final = 0x35
_RETURN: Final = 0x06

_WHOLE_FRAME: Final = 0x4_0000
_PACKET_TYPE: Final = 0xFFFF_F004  # SKF_AD_OFF + SKF_AD_PKTTYPE
_OTHER_HOST: Final = 3
_OUTGOING: Final = 4

_Instruction = tuple[int, int, int, int]
_PASS: Final[_Instruction] = (_RETURN, 0, 0, _WHOLE_FRAME)
_DROP: Final[_Instruction] = (_RETURN, 0, 0, 0)

Range = tuple[int, int]
"""The lowest and the highest of a range of words."""


@dataclass(frozen=True, slots=True)
class Field:
    """A condition: the field at `offset`, loaded with `load`, has one of `values` (or, `negated`, none of them).

    A frame too short to hold the field is dropped; without values that is all that is tested.
    """

    load: int
    offset: int
    values: tuple[int, ...] = ()
    negated: bool = False


# The kernel marks frames of a VLAN that has no interface here, and those seen only for promiscuity, as another
# host's.
OURS: Final = Field(LOAD_WORD, _PACKET_TYPE, (_OTHER_HOST, _OUTGOING), negated=True)


@dataclass(frozen=True, slots=True)
class Pattern:
    """The frames of one protocol: those for which every field holds."""

    fields: tuple[Field, ...]
    addresses: tuple[int, ...]
    """Where the last 32 bits stand of each address that a frame is about."""


ARP_PATTERN: Final = Pattern(
    (
        OURS,
        Field(LOAD_HALF, 12, (ETHERTYPE_ARP,)),
        Field(LOAD_WORD, 14, (0x0001_0800,)),
        Field(LOAD_HALF, 18, (0x0604,)),
        Field(LOAD_HALF, 20, (arp.REQUEST, arp.REPLY)),
        Field(LOAD_BYTE, arp.FRAME_SIZE - 1),
    ),
    (arp.TARGET.start, arp.SENDER.start),
)

NDP_PATTERN: Final = Pattern(
    (
        OURS,
        Field(LOAD_HALF, 12, (ETHERTYPE_IPV6,)),
        Field(LOAD_HALF, 20, (58 << 8 | 255,)),
        Field(LOAD_HALF, 54, (ndp.SOLICITATION << 8, ndp.ADVERTISEMENT << 8)),
        Field(LOAD_BYTE, ndp.FRAME_SIZE - 1),
    ),
    (ndp.TARGET.stop - 4, ndp.SOURCE.stop - 4),
)


def cover(words: Iterable[int], limit: int) -> tuple[Range, ...]:
    """Ranges, in order and at most `limit` of them, that hold all of these and as little else as can be."""
    found = sorted(set(words))
    gaps = sorted(range(1, len(found)), key=lambda index: found[index - 1] - found[index])
    splits = sorted(index for index in gaps[: limit - 1] if found[index] > found[index - 1] + 1)
    starts, ends = [0, *splits], [*splits, len(found)]
    return tuple((found[start], found[end - 1]) for start, end in zip(starts, ends, strict=True) if found)


def assemble(pattern: Pattern, ranges: Sequence[Range]) -> bytes:
    """The program that accepts a frame of the pattern in which one of the addresses lies in one of the ranges."""
    program = _conditions(pattern.fields)
    if ranges:
        for offset in pattern.addresses:
            program += [(LOAD_WORD, 0, 0, offset), *_search(ranges, 0)]
    program.append(_DROP)
    return b"".join(INSTRUCTION.pack(*each) for each in program)


def _conditions(fields: Sequence[Field]) -> list[_Instruction]:
    """Goes on after its end if every condition holds.

    Each condition becomes one load and one jump for each value; jumps are counted from the next instruction.
    """
    sizes = [1 + len(field.values) for field in fields]
    drop = sum(sizes) + 1
    program: list[_Instruction] = []
    for field, size in zip(fields, sizes, strict=True):
        after = len(program) + size
        program.append((field.load, 0, 0, field.offset))
        for value in field.values:
            here = len(program) + 1
            last = here == after
            if field.negated:
                program.append((_JUMP_EQUAL, drop - here, 0, value))
            else:
                program.append((_JUMP_EQUAL, after - here, drop - here if last else 0, value))
    # Near, since a conditional jump reaches no further than 255 instructions.
    return [*program, (_JUMP, 0, 0, 1), _DROP]


def _search(ranges: Sequence[Range], rest: int) -> list[_Instruction]:
    """Passes the frame if the word that was loaded lies in one of the ranges; else goes on after its end and `rest`
    instructions more. Halves the ranges at each step."""
    if len(ranges) == 1:
        low, high = ranges[0]
        return [(_JUMP_NOT_LESS, 0, 2, low), (_JUMP_GREATER, 1, 0, high), _PASS, (_JUMP, 0, 0, rest)]
    middle = len(ranges) // 2
    upper = _search(ranges[middle:], rest)
    lower = _search(ranges[:middle], len(upper) + rest)
    return [(_JUMP_NOT_LESS, 0, 1, ranges[middle][0]), (_JUMP, 0, 0, len(lower)), *lower, *upper]
