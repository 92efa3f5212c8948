"""The heartbeat datagram: what one agent tells another, signed.

    magic 4 | version 1 | standing 1 | incarnation 8 | sequence 8
    | echo: incarnation 8, sequence 8, held 4
    | name: length 1, octets | sections, each: type 1, length 2, value
    | HMAC-SHA256 over all before it, its first 16 octets

All numbers in network byte order. Sections: the peers heard and the interfaces offered, which together make a
message complete; claims of single addresses, and whether their clients are shared; in a large cluster also a
summary of the sender's view, and what it knows of third nodes (see `topology`). Sections of a type that is not
known are skipped, so that agents of neighbouring releases understand each other; another version is another
protocol. No field is a wall-clock time, so nodes' clocks may disagree: freshness is shown by the echo (see
`membership`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b, sha256
from hmac import compare_digest
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Final

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import (
    MAX_CLAIMS,
    MAX_HEARD,
    MAX_INTERFACES,
    MAX_MESSAGE_SIZE,
    MAX_NAME,
    MAX_PREFIXES,
    MAX_REPORTED,
    MAX_TOLD_CLIENTS,
)
from heraldlb.speaker.ethernet import is_unicast
from heraldlb.speaker.interfaces import Offer, Prefix
from heraldlb.speaker.standing import Standing

if TYPE_CHECKING:
    from hashlib import _Hash

_MAGIC: Final = b"HRLD"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("!4sBBQQQQIB")
_SECTION: Final = struct.Struct("!BH")
_HEARD_ENTRY: Final = struct.Struct("!8sB")
_TERM: Final = struct.Struct("!I")
_SUMMARY: Final = struct.Struct("!QQ")
_REPORT_HEADER: Final = struct.Struct("!8sQQBB")
_TAG_SIZE: Final = 16
_BLOCK_SIZE: Final = 64

_HEARD: Final = 1
_OFFER: Final = 2
_CLAIMS: Final = 3
_VIEW: Final = 4
_REPORT: Final = 5
_CEDED: Final = 6
_SHARES: Final = 7
_CLIENTS: Final = 8

# By value, since to ask the enumeration takes as long as all the rest of a header.
_STANDINGS: Final = tuple(Standing)

_MAX_HELD: Final = 0xFFFF_FFFF
_MAX_REPORT_HEARD: Final = 255


Sighting = tuple[IPAddress, bytes, IPAddress]
"""An address whose clients are shared, and one of them: its hardware address, and one that it asked from."""


class MessageError(ValueError):
    """A datagram that is no heartbeat of this protocol."""


class SignatureError(MessageError):
    """A datagram that nobody who has the key has signed."""


@dataclass(frozen=True, slots=True)
class Echo:
    """The newest message the sender has from the receiver, and for how many microseconds it has had it."""

    incarnation: int
    sequence: int
    held: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What a node in a large cluster says of its view instead of the view itself."""

    since: int
    """The first message of the sender's incarnation that told its present state: standing, peers heard, offers."""
    digest: int
    """Stands for the state of all nodes that the sender knows to live, its own included."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the sender knows of a third node, as that node said it."""

    node: bytes
    """Its `node_id`."""
    incarnation: int
    since: int
    standing: Standing
    heard: tuple[bytes, ...] = ()
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One heartbeat from `sender` to one receiver."""

    sender: str
    incarnation: int
    """Start of the sending agent in nanoseconds: tells a restarted agent from its predecessor."""
    sequence: int
    """Grows with every message of an incarnation."""
    standing: Standing
    echo: Echo | None = None
    """None: the sender has not heard the receiver lately."""
    heard: Mapping[bytes, Standing] = field(default_factory=dict)
    """The peers it hears directly, by `node_id`."""
    offers: tuple[Offer, ...] = ()
    complete: bool = field(default=True, kw_only=True)
    """False: the receiver has `heard` and `offers` already, so they are left out."""
    claims: Mapping[IPAddress, int] = field(default_factory=dict, kw_only=True)
    """Addresses that the sender owns and has announced, each with the term of its ownership."""
    ceded: Mapping[IPAddress, int] = field(default_factory=dict, kw_only=True)
    """Addresses that the sender answers for and does not take to be its own, as `claims`."""
    shares: Mapping[IPAddress, int] = field(default_factory=dict, kw_only=True)
    """Whether the sender is one of those that share the clients of each address: 1, or else 0."""
    clients: tuple[Sighting, ...] = field(default=(), kw_only=True)
    """Some of the sender's own clients, to a node that may have to serve them one day."""
    summary: Summary | None = field(default=None, kw_only=True)
    reports: tuple[Report, ...] = field(default=(), kw_only=True)


@lru_cache(maxsize=4_096)
def node_id(name: str) -> bytes:
    """Eight octets that stand for a node's name where a message lists many."""
    return blake2b(name.encode(), digest_size=8).digest()


def encode(message: Message, key: bytes) -> bytes:
    """The signed datagram."""
    echo = message.echo or Echo(0, 0)
    name = message.sender.encode()
    header = _HEADER.pack(
        _MAGIC,
        _VERSION,
        message.standing,
        message.incarnation,
        message.sequence,
        echo.incarnation,
        echo.sequence,
        min(echo.held, _MAX_HELD),
        len(name),
    )
    body = header + name
    if message.complete:
        heard = b"".join(_HEARD_ENTRY.pack(*entry) for entry in list(message.heard.items())[:MAX_HEARD])
        body += _SECTION.pack(_HEARD, len(heard)) + heard + _encode_offers(message.offers)
    if message.summary is not None:
        body += _SECTION.pack(_VIEW, _SUMMARY.size) + _SUMMARY.pack(message.summary.since, message.summary.digest)
    for report in message.reports[:MAX_REPORTED]:
        body += _encode_report(report)
    for kind, terms in ((_CLAIMS, message.claims), (_CEDED, message.ceded), (_SHARES, message.shares)):
        if terms:
            value = _encode_terms(terms)
            body += _SECTION.pack(kind, len(value)) + value
    if message.clients:
        value = _encode_sightings(message.clients)
        body += _SECTION.pack(_CLIENTS, len(value)) + value
    return body + _tag(body, key)


def decode(datagram: bytes, keys: Sequence[bytes]) -> Message:
    """The message, if one of the keys signed it. Raises MessageError or its subclass SignatureError, nothing
    else."""
    if len(datagram) < _HEADER.size + _TAG_SIZE or len(datagram) > MAX_MESSAGE_SIZE:
        raise MessageError(f"{len(datagram)} octets is no size of a heartbeat")
    if not datagram.startswith(_MAGIC) or datagram[4] != _VERSION:
        raise MessageError("not a heartbeat of this version")
    body, tag = datagram[:-_TAG_SIZE], datagram[-_TAG_SIZE:]
    for key in keys:
        if compare_digest(_tag(body, key), tag):
            break
    else:
        raise SignatureError("signed with no key that is accepted")
    try:
        return _decode_body(body)
    except (ValueError, IndexError, struct.error) as error:
        raise MessageError(f"signed, but malformed: {error}") from error


def _decode_body(body: bytes) -> Message:
    _, _, standing, incarnation, sequence, echo_incarnation, echo_sequence, held, size = _HEADER.unpack_from(body)
    if not 0 < size <= MAX_NAME:
        raise MessageError(f"a name of {size} octets")
    told = _decode_told(body[_HEADER.size :], size)
    return Message(
        told.name,
        incarnation,
        sequence,
        _STANDINGS[standing],
        Echo(echo_incarnation, echo_sequence, held) if echo_incarnation else None,
        told.heard,
        told.offers,
        complete=told.complete,
        claims=told.claims,
        ceded=told.ceded,
        shares=told.shares,
        clients=told.clients,
        summary=told.summary,
        reports=told.reports,
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What a message says beside its header: mostly what the sender's last one said. Not to be changed."""

    name: str
    heard: Mapping[bytes, Standing]
    offers: tuple[Offer, ...]
    complete: bool
    claims: Mapping[IPAddress, int]
    ceded: Mapping[IPAddress, int]
    shares: Mapping[IPAddress, int]
    clients: tuple[Sighting, ...]
    summary: Summary | None
    reports: tuple[Report, ...]


@lru_cache(maxsize=128)
def _decode_told(octets: bytes, size: int) -> _Told:
    """The name, of `size` octets, and the sections after it."""
    name = octets[:size]
    if len(name) < size:
        raise MessageError(f"a name of {size} octets is longer than the message")
    heard: dict[bytes, Standing] = {}
    offers: list[Offer] = []
    complete = False
    summary = None
    claims: dict[IPAddress, int] = {}
    ceded: dict[IPAddress, int] = {}
    shares: dict[IPAddress, int] = {}
    clients: list[Sighting] = []
    reports: list[Report] = []
    for kind, value in _sections(octets[size:]):
        if kind == _HEARD:
            complete = True
            heard.update((node, Standing(raw)) for node, raw in _HEARD_ENTRY.iter_unpack(value))
        elif kind == _OFFER:
            offers.append(_decode_offer(value))
        elif kind == _CLAIMS:
            claims.update(_decode_terms(value))
        elif kind == _CEDED:
            ceded.update(_decode_terms(value))
        elif kind == _SHARES:
            shares.update(_decode_terms(value))
        elif kind == _CLIENTS:
            clients.extend(_decode_sightings(value))
        elif kind == _VIEW:
            summary = Summary(*_SUMMARY.unpack(value))
        elif kind == _REPORT:
            reports.append(_decode_report(value))
    if len(heard) > MAX_HEARD or len(offers) > MAX_INTERFACES or len(reports) > MAX_REPORTED:
        raise MessageError(f"{len(heard)} peers, {len(offers)} interfaces and {len(reports)} reports are too many")
    if max(map(len, (claims, ceded, shares))) > MAX_CLAIMS:
        raise MessageError(
            f"{len(claims)} claimed, {len(ceded)} ceded, {len(shares)} shared addresses are too many"
        )
    if len(clients) > MAX_TOLD_CLIENTS:
        raise MessageError(f"{len(clients)} clients are too many")
    return _Told(
        name.decode(),
        heard,
        tuple(offers),
        complete,
        claims,
        ceded,
        shares,
        tuple(clients),
        summary,
        tuple(reports),
    )


def _sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        kind, size = _SECTION.unpack_from(data, position)
        position += _SECTION.size
        if position + size > len(data):
            raise MessageError(f"a section of {size} octets is longer than the message")
        yield kind, data[position : position + size]
        position += size


# Offers change rarely and are sent and read ten times a second for every peer.
@lru_cache(maxsize=16)
def _encode_offers(offers: tuple[Offer, ...]) -> bytes:
    sections = []
    for offer in offers[:MAX_INTERFACES]:
        name = offer.name.encode()
        value = bytes((len(name),)) + name + offer.mac
        for prefix in offer.prefixes[:MAX_PREFIXES]:
            value += bytes((prefix.version, prefix.prefixlen)) + prefix.network_address.packed
        sections.append(_SECTION.pack(_OFFER, len(value)) + value)
    return b"".join(sections)


@lru_cache(maxsize=4_096)
def _decode_offer(value: bytes) -> Offer:
    end = 1 + value[0]
    name, mac = value[1:end].decode(), value[end : end + 6]
    if not name or len(mac) != 6:
        raise MessageError("an offered interface without name or hardware address")
    position = end + 6
    prefixes: list[Prefix] = []
    while position < len(value):
        version, length = value[position], value[position + 1]
        size = {4: 4, 6: 16}.get(version, 0)
        packed = value[position + 2 : position + 2 + size]
        if version == 4:
            prefixes.append(IPv4Network((packed, length)))
        elif version == 6:
            prefixes.append(IPv6Network((packed, length)))
        else:
            raise MessageError(f"a prefix of IP version {version}")
        position += 2 + size
    if len(prefixes) > MAX_PREFIXES:
        raise MessageError(f"{len(prefixes)} prefixes on one interface are too many")
    return Offer(name, mac, tuple(prefixes))


def _encode_terms(terms: Mapping[IPAddress, int]) -> bytes:
    return b"".join(bytes((each.version,)) + each.packed + _TERM.pack(term) for each, term in terms.items())


def _decode_terms(value: bytes) -> Iterator[tuple[IPAddress, int]]:
    position = 0
    while position < len(value):
        address, position = _decode_address(value, position)
        [term] = _TERM.unpack_from(value, position)
        yield address, term
        position += _TERM.size


def _encode_sightings(sightings: Sequence[Sighting]) -> bytes:
    return b"".join(
        bytes((address.version,)) + address.packed + station + bytes((host.version,)) + host.packed
        for address, station, host in sightings
    )


def _decode_sightings(value: bytes) -> Iterator[Sighting]:
    position = 0
    while position < len(value):
        address, position = _decode_address(value, position)
        station = value[position : position + 6]
        host, position = _decode_address(value, position + 6)
        if not is_unicast(station):
            raise MessageError("a client at a group or null hardware address")
        yield address, station, host


def _decode_address(value: bytes, position: int) -> tuple[IPAddress, int]:
    """The address there, after an octet that tells its version, and where it ends."""
    version, start = value[position], position + 1
    if version == 4:
        return IPv4Address(value[start : start + 4]), start + 4
    if version == 6:
        return IPv6Address(value[start : start + 16]), start + 16
    raise MessageError(f"an address of IP version {version}")


@lru_cache(maxsize=1_024)
def _encode_report(report: Report) -> bytes:
    heard = report.heard[:_MAX_REPORT_HEARD]
    value = _REPORT_HEADER.pack(report.node, report.incarnation, report.since, report.standing, len(heard))
    value += b"".join(heard) + _encode_offers(report.offers)
    return _SECTION.pack(_REPORT, len(value)) + value


def _decode_report(value: bytes) -> Report:
    node, incarnation, since, standing, count = _REPORT_HEADER.unpack_from(value)
    start = _REPORT_HEADER.size
    end = start + 8 * count
    if end > len(value):
        raise MessageError(f"a report of {count} peers heard is cut short")
    heard = tuple(value[at : at + 8] for at in range(start, end, 8))
    offers = tuple(_decode_offer(each) for kind, each in _sections(value[end:]) if kind == _OFFER)
    return Report(node, incarnation, since, Standing(standing), heard, offers)


def _tag(body: bytes, key: bytes) -> bytes:
    # HMAC (RFC 2104) from states that have taken the key in already: a quarter of the time of hmac.digest.
    keyed_inner, keyed_outer = _keyed(key)
    inner, outer = keyed_inner.copy(), keyed_outer.copy()
    inner.update(body)
    outer.update(inner.digest())
    return outer.digest()[:_TAG_SIZE]


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> tuple[_Hash, _Hash]:
    if len(key) > _BLOCK_SIZE:
        key = sha256(key).digest()
    padded = key.ljust(_BLOCK_SIZE, b"\0")
    return sha256(bytes(octet ^ 0x36 for octet in padded)), sha256(bytes(octet ^ 0x5C for octet in padded))
