"""Ethernet II frames (IEEE 802.3 clause 3) and what all codecs of the speaker share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_IPV6: Final = 0x86DD

HEADER_SIZE: Final = 14

BROADCAST: Final = b"\xff" * 6
ALL_NODES_MAC: Final = b"\x33\x33\x00\x00\x00\x01"


class FrameError(ValueError):
    """A frame that is not what its decoder reads; the message says which rule it breaks."""


@dataclass(frozen=True, slots=True)
class EthernetHeader:
    """Destination, source (six octets each) and EtherType."""

    destination: bytes
    source: bytes
    ethertype: int

    def encode(self) -> bytes:
        """The 14 octets of the header."""
        return self.destination + self.source + self.ethertype.to_bytes(2)


def decode_header(frame: bytes) -> EthernetHeader:
    """The header of a frame without a VLAN tag (the kernel takes tags off). Raises FrameError."""
    if len(frame) < HEADER_SIZE:
        raise FrameError(f"an Ethernet header is {HEADER_SIZE} octets, the frame has {len(frame)}")
    source = frame[6:12]
    if not is_unicast(source):
        raise FrameError("a group or null address as Ethernet source")
    return EthernetHeader(frame[0:6], source, int.from_bytes(frame[12:14]))


def is_unicast(mac: bytes) -> bool:
    """Whether these six octets can be the address of one station."""
    return not mac[0] & 1 and any(mac)


def format_mac(mac: bytes) -> str:
    """The usual text form, `02:00:00:00:00:01`."""
    return mac.hex(":")


def parse_mac(text: str) -> bytes:
    """Of that form; empty of an empty text. Raises ValueError."""
    return bytes.fromhex(text.replace(":", ""))
