"""Classic BPF programs that keep every frame but ARP and neighbour discovery away from this process (socket
filters, Linux Documentation/networking/filter.rst)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heraldlb.speaker import arp, ndp
from heraldlb.speaker.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV6

INSTRUCTION: Final = struct.Struct("=HBBI")
"""struct sock_filter: code, jump if true, jump if false, operand; in the host's byte order."""

_LOAD_WORD: Final = 0x20
_LOAD_HALF: Final = 0x28
_LOAD_BYTE: Final = 0x30
_JUMP_EQUAL: Final = 0x15
_RETURN: Final = 0x06

_WHOLE_FRAME: Final = 0x4_0000
_PACKET_TYPE: Final = 0xFFFF_F004  # SKF_AD_OFF + SKF_AD_PKTTYPE
_OTHER_HOST: Final = 3
_OUTGOING: Final = 4


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
_OURS: Final = Field(_LOAD_WORD, _PACKET_TYPE, (_OTHER_HOST, _OUTGOING), negated=True)

ARP_FIELDS: Final = (
    _OURS,
    Field(_LOAD_HALF, 12, (ETHERTYPE_ARP,)),
    Field(_LOAD_WORD, 14, (0x0001_0800,)),
    Field(_LOAD_HALF, 18, (0x0604,)),
    Field(_LOAD_HALF, 20, (arp.REQUEST, arp.REPLY)),
    Field(_LOAD_BYTE, arp.FRAME_SIZE - 1),
)

NDP_FIELDS: Final = (
    _OURS,
    Field(_LOAD_HALF, 12, (ETHERTYPE_IPV6,)),
    Field(_LOAD_HALF, 20, (58 << 8 | 255,)),
    Field(_LOAD_HALF, 54, (ndp.SOLICITATION << 8, ndp.ADVERTISEMENT << 8)),
    Field(_LOAD_BYTE, ndp.FRAME_SIZE - 1),
)


def assemble(fields: Sequence[Field]) -> bytes:
    """The program that accepts a frame for which every condition holds.

    Each condition becomes one load and one jump for each value; jumps are counted from the next instruction.
    """
    sizes = [1 + len(field.values) for field in fields]
    drop = sum(sizes) + 1
    program: list[tuple[int, int, int, int]] = []
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
    program += [(_RETURN, 0, 0, _WHOLE_FRAME), (_RETURN, 0, 0, 0)]
    return b"".join(INSTRUCTION.pack(*each) for each in program)
