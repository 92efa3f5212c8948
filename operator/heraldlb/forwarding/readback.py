"""Reads our tables from the kernel by netlink: `nft list` would take a second and 100 MB for 10,000 Services."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from heraldlb.api.ranges import Family
from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding import nftmessages as nf
from heraldlb.forwarding.actual import Learned, Names, Table, Tables
from heraldlb.forwarding.elements import Key
from heraldlb.forwarding.frame import TABLE
from heraldlb.forwarding.netlink import OpenSocket, conversation, dump, open_socket
from heraldlb.forwarding.nftmessages import UnreadableError

_FAMILIES: Final[dict[Family, int]] = {"IPv4": 2, "IPv6": 10}

_TRIES: Final = 10
"""Somebody else's transaction in the middle of a dump makes it void; kube-proxy has one a second."""


class Reader(Protocol):
    """What reads our tables back; raises OSError, or `nftmessages.UnreadableError`."""

    async def read(self) -> Tables:
        """Our tables as they are now."""

    async def learned(self) -> Mapping[Family, tuple[Learned, ...]]:
        """Only what packets have written in them."""


class KernelReader:
    """Reads with a socket of its own each time, in a thread."""

    def __init__(self, opener: OpenSocket = open_socket) -> None:
        self._open = opener

    async def read(self) -> Tables:
        return await asyncio.to_thread(self._read)

    async def learned(self) -> Mapping[Family, tuple[Learned, ...]]:
        return await asyncio.to_thread(self._learned)

    async def names(self, table: str) -> Mapping[Family, Names]:
        """What a table of ours consists of in each family; nothing where there is none. Raises OSError, or
        `nftmessages.UnreadableError`."""
        return await asyncio.to_thread(self._names, table)

    def _names(self, table: str) -> Mapping[Family, Names]:
        with self._conversation() as conversation:
            return {family: _consists(conversation, number, table) for family, number in _FAMILIES.items()}

    @contextmanager
    def _conversation(self) -> Iterator[_Conversation]:
        with conversation(self._open) as sock:
            try:
                yield _Conversation(sock)
            except (LookupError, ValueError, struct.error) as error:
                # Such as an element without a key, which stands for all others.
                raise UnreadableError(f"something that we do not write: {error!r}") from error

    def _learned(self) -> Mapping[Family, tuple[Learned, ...]]:
        with self._conversation() as conversation:
            found: dict[Family, tuple[Learned, ...]] = {}
            for family, number in _FAMILIES.items():
                learned: list[Learned] = []
                for message in conversation.dump(nf.GET_SET, number, {nf.SET_TABLE: TABLE}):
                    described = message.attributes()
                    if nl.integer(described.get(nf.SET_FLAGS, memoryview(b""))) & nf.DYNAMIC:
                        _read_set(conversation, number, described, {}, learned)
                found[family] = tuple(learned)
            return found

    def _read(self) -> Tables:
        with self._conversation() as conversation:
            return {
                family: table
                for family, number in _FAMILIES.items()
                if (table := _table(conversation, number)) is not None
            }


@dataclass(slots=True)
class _Conversation:
    sock: socket.socket
    sequence: int = 0

    def dump(self, kind: int, family: int, wanted: Mapping[int, str] | None = None) -> list[nl.Message]:
        """All objects of a kind; none where what is asked about does not exist. Raises OSError."""
        for _ in range(_TRIES):
            self.sequence += 1
            try:
                return list(dump(self.sock, nf.dump(kind, family, self.sequence, wanted or {})))
            except FileNotFoundError:
                return []
            except InterruptedError:
                continue
        raise OSError(errno.EAGAIN, "others change the ruleset all the time")


def _table(conversation: _Conversation, family: int) -> Table | None:
    for message in conversation.dump(nf.GET_TABLE, family):
        found = message.attributes()
        if nl.name(found[nf.TABLE_NAME]) == TABLE:
            break
    else:
        return None
    elements: dict[Key, str] = {}
    learned: list[Learned] = []
    for message in conversation.dump(nf.GET_SET, family, {nf.SET_TABLE: TABLE}):
        _read_set(conversation, family, message.attributes(), elements, learned)
    return Table(
        fingerprint=nf.comment(found.get(nf.TABLE_USERDATA)),
        chains=dict(_chains(conversation, family, TABLE)),
        rules=Counter(_rules(conversation, family)),
        elements=elements,
        learned=tuple(learned),
    )


def _consists(conversation: _Conversation, family: int, table: str) -> Names:
    sets: dict[int, set[str]] = {nf.MAP: set(), 0: set()}
    for message in conversation.dump(nf.GET_SET, family, {nf.SET_TABLE: table}):
        described = message.attributes()
        flags = nl.integer(described.get(nf.SET_FLAGS, memoryview(b"")))
        if not flags & nf.ANONYMOUS:
            sets[flags & nf.MAP].add(nl.name(described[nf.SET_NAME]))
    chains = frozenset(name for name, _ in _chains(conversation, family, table))
    return Names(chains, frozenset(sets[nf.MAP]), frozenset(sets[0]))


def _chains(conversation: _Conversation, family: int, table: str) -> Iterator[tuple[str, str]]:
    for message in conversation.dump(nf.GET_CHAIN, family):
        found = message.attributes()
        if nl.name(found[nf.CHAIN_TABLE]) == table:
            yield nl.name(found[nf.CHAIN_NAME]), nf.comment(found.get(nf.CHAIN_USERDATA))


def _rules(conversation: _Conversation, family: int) -> Iterator[str]:
    for message in conversation.dump(nf.GET_RULE, family, {nf.RULE_TABLE: TABLE}):
        yield nl.name(message.attributes()[nf.RULE_CHAIN])


def _read_set(
    conversation: _Conversation,
    family: int,
    described: Mapping[int, memoryview],
    elements: dict[Key, str],
    learned: list[Learned],
) -> None:
    flags = nl.integer(described.get(nf.SET_FLAGS, memoryview(b"")))
    if flags & nf.ANONYMOUS:
        return
    name = nl.name(described[nf.SET_NAME])
    reader = nf.ElementReader(
        nl.integer(described[nf.SET_KEY_TYPE]), nl.integer(described.get(nf.SET_DATA_TYPE, memoryview(b"")))
    )
    for message in conversation.dump(nf.GET_ELEMENT, family, {nf.LIST_TABLE: TABLE, nf.LIST_SET: name}):
        for element in reader.read(message):
            key = Key(name, element.key)
            if flags & nf.DYNAMIC:
                learned.append(Learned(key, element.value, element.timeout, element.expires))
            else:
                elements[key] = element.value
