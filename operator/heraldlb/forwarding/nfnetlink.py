"""Messages of netfilter's netlink (linux/netfilter/nfnetlink.h), whatever they are about. Pure.

Numbers within attributes are in network byte order, those of headers in the host's (netlink(7)).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HEADER: Final = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence number, port of the sender."""
_GENERIC: Final = struct.Struct("!BBH")
"""struct nfgenmsg: family, version, resource."""
_ATTRIBUTE: Final = struct.Struct("=HH")
PAYLOAD: Final = HEADER.size + _GENERIC.size
"""Where the attributes of a message begin."""

PROTOCOL: Final = 12
"""NETLINK_NETFILTER."""
ERROR, DONE = 2, 3
"""NLMSG_ERROR, NLMSG_DONE."""
REQUEST, ACKNOWLEDGE, DUMP_INTERRUPTED, DUMP = 0x01, 0x04, 0x10, 0x300

NFPROTO: Final[dict[int, str]] = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
"""The families as nft names them."""

NESTED: Final = 0x8000
"""Added to the number of an attribute that holds others."""
_NUMBER: Final = 0x3FFF


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a datagram."""

    type: int
    flags: int
    sequence: int
    """Of the request that is answered."""
    port: int
    """The sender's netlink port: of the process that made the change that a notification tells of."""
    body: memoryview
    """What follows the netlink header."""

    @property
    def family(self) -> str:
        """As nft names it."""
        return NFPROTO.get(self.body[0], "")

    def attributes(self) -> dict[int, memoryview]:
        """The attributes by their numbers."""
        return attributes(self.body[_GENERIC.size :])


def message(kind: int, flags: int, family: int, sequence: int, content: bytes) -> bytes:
    """A request; `content`: its attributes."""
    length = PAYLOAD + len(content)
    return HEADER.pack(length, kind, REQUEST | flags, sequence, 0) + _GENERIC.pack(family, 0, 0) + content


def attribute(number: int, content: bytes) -> bytes:
    """One attribute of a request."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(content), number) + content + b"\0" * (-len(content) % 4)


def messages(datagram: bytes) -> Iterator[Message]:
    """The messages that one datagram carries."""
    view, start = memoryview(datagram), 0
    while start + HEADER.size <= len(view):
        length, kind, flags, sequence, port = HEADER.unpack_from(view, start)
        if length < HEADER.size:
            return
        yield Message(kind, flags, sequence, port, view[start + HEADER.size : start + length])
        start += length + 3 & ~3


def error_number(message: Message) -> int:
    """What an ERROR, or the DONE of a dump, says, as in `errno`; 0: no error."""
    return -int(struct.unpack_from("=i", message.body)[0])


def attributes(view: memoryview) -> dict[int, memoryview]:
    """Attributes by their numbers; of those with the same number the last."""
    return dict(each_attribute(view))


def each_attribute(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Attributes in their order, each with its number."""
    start, end = 0, len(view)
    while start + _ATTRIBUTE.size <= end:
        length, number = _ATTRIBUTE.unpack_from(view, start)
        if length < _ATTRIBUTE.size:
            return
        yield number & _NUMBER, view[start + _ATTRIBUTE.size : start + length]
        start += length + 3 & ~3


def name(value: memoryview) -> str:
    """A string attribute."""
    return bytes(value).rstrip(b"\0").decode(errors="replace")


def integer(value: memoryview) -> int:
    """A number attribute of any width."""
    return int.from_bytes(value, "big")
