"""Where packets go by the rules as rendered: what `nft monitor trace` tells, before there is a packet. Pure.

Follows the first packet of a connection through our chains only; what other tables do to it is not known here. A
scheduler's choice depends on chance or on hashes, so that every backend that it may choose is an outcome.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import ip_address
from itertools import product
from typing import Final

from heraldlb.api.ranges import IPAddress, family_of
from heraldlb.api.services import Protocol
from heraldlb.forwarding.detour import TIME_TO_LIVE
from heraldlb.forwarding.expressions import NoMatchError, Value, Words, covers
from heraldlb.forwarding.frame import WORDS
from heraldlb.forwarding.model import Backend
from heraldlb.forwarding.tables import Table

_Learned = tuple[str, str, str]
"""Map, key and value of an element that the packet writes."""


class Fate(Enum):
    """What becomes of a packet."""

    FORWARDED = "forwarded"
    """To a backend."""
    REJECTED = "rejected"
    """TCP reset, or ICMP port unreachable."""
    DROPPED = "dropped"
    PASSED_ON = "passed on"
    """As it is, to another node."""
    UNTOUCHED = "untouched"
    """It goes where it would without us."""


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection, as it reaches the node or as the node sends it."""

    source: IPAddress
    destination: IPAddress
    protocol: Protocol
    port: int
    station: str = ""
    """The hardware address of whoever sent it on; empty: one that no rule knows."""
    slot: int | None = None
    """What its source hashes to, modulo whatever number. None: every value is tried, each time anew."""
    hops: int = 64
    """That it has left (time to live)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way for a packet to end."""

    fate: Fate
    backend: Backend | None = None
    masqueraded: bool = False
    """The backend sees the node's address instead of the client's."""
    learned: tuple[_Learned, ...] = ()
    """What the rules write down of the client."""
    gateway: IPAddress | None = None
    """The node that it is passed on to."""
    hops: int | None = None
    """That it has left then, before this one."""


def trace(tables: Mapping[str, Table], packet: Packet, node: Container[IPAddress]) -> frozenset[Outcome]:
    """Every outcome that a packet can have on the node whose own addresses are `node`.

    `tables`: what `tables.read` made of a full load. Raises ValueError at a rule that is not understood.
    """
    words = WORDS[family_of(packet.source)]
    return frozenset(_Trace(tables[words.ip], packet, node).outcomes())


def remember(tables: Mapping[str, Table], outcome: Outcome) -> None:
    """Write into `tables` what a packet of this outcome would have written."""
    if outcome.backend is not None:
        maps = tables[WORDS[family_of(outcome.backend.address)].ip].maps
        for name, key, value in outcome.learned:
            maps[name].content.setdefault(key, value)


@dataclass(frozen=True, slots=True)
class _State:
    """A packet on its way."""

    daddr: IPAddress
    dport: int
    mark: int = 0
    translated: bool = False
    masqueraded: bool = False
    learned: tuple[_Learned, ...] = ()
    copied: IPAddress | None = None
    hops: int = 0


class _Verdict(Enum):
    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"
    RETURN = "return"
    CONTINUE = "continue"


_Step = tuple[_Verdict, _State]

_SYN: Final = 0x02
"""The flags of the first packet of a TCP connection."""

_TERMINAL: Final = {
    "accept": _Verdict.ACCEPT,
    "drop": _Verdict.DROP,
    "return": _Verdict.RETURN,
    "reject": _Verdict.REJECT,
}


class _Trace:
    def __init__(self, table: Table, packet: Packet, node: Container[IPAddress]) -> None:
        self._table, self.packet, self._node = table, packet, node
        self.ip = WORDS[family_of(packet.source)].ip
        self.time_to_live = TIME_TO_LIVE[family_of(packet.source)].split()
        self._protocol = packet.protocol.lower()

    def outcomes(self) -> Iterator[Outcome]:
        start = _State(self.packet.destination, self.packet.port, hops=self.packet.hops)
        first = "output" if self.packet.source in self._node else "prerouting"
        for verdict, state in self._hook(first, start):
            if verdict is not _Verdict.ACCEPT:
                yield _refused(verdict, state)
                continue
            # What the node sends to itself passes both.
            rest = ["postrouting"] if first == "output" else []
            rest += ["input"] if state.daddr in self._node else ["forward", "postrouting"] if not rest else []
            yield from self._onward(rest, state)

    def _onward(self, hooks: list[str], state: _State) -> Iterator[Outcome]:
        if not hooks:
            backend = Backend(state.daddr, state.dport) if state.translated else None
            fate = Fate.FORWARDED if backend else Fate.UNTOUCHED
            yield Outcome(fate, backend, state.masqueraded, state.learned)
            return
        for verdict, after in self._hook(hooks[0], state):
            if verdict is _Verdict.ACCEPT:
                yield from self._onward(hooks[1:], after)
            else:
                yield _refused(verdict, after)

    def _hook(self, hook: str, state: _State) -> Iterator[_Step]:
        chains = list(self._table.base_chains(hook))

        def through(position: int, state: _State) -> Iterator[_Step]:
            if position == len(chains):
                yield _Verdict.ACCEPT, state
                return
            for verdict, after in self._chain(chains[position], state):
                if verdict in (_Verdict.DROP, _Verdict.REJECT):
                    yield verdict, after
                else:
                    yield from through(position + 1, after)

        yield from through(0, state)

    def _chain(self, name: str, state: _State, position: int = 0) -> Iterator[_Step]:
        rules = self._table.chains[name].rules
        if position == len(rules):
            yield _Verdict.RETURN, state
            return
        for verdict, after in self._rule(rules[position], state):
            if verdict is _Verdict.CONTINUE:
                yield from self._chain(name, after, position + 1)
            else:
                yield verdict, after

    def _rule(self, text: str, state: _State) -> Iterator[_Step]:
        try:
            yield from _Rule(self, text, state).run()
        except NoMatchError:
            yield _Verdict.CONTINUE, state

    def verdict(self, words: list[str], state: _State) -> Iterator[_Step]:
        """`drop`, `return`, `goto CHAIN` or `jump CHAIN`, also as the value of a map."""
        if words[0] in _TERMINAL:
            yield _TERMINAL[words[0]], state
            return
        for verdict, after in self._chain(words[1], state):
            returns = words[0] == "jump" and verdict is _Verdict.RETURN
            yield (_Verdict.CONTINUE if returns else verdict), after

    def field(self, words: tuple[str, ...], state: _State) -> Value:
        """The value of what nft calls `words`. Raises NoMatchError where this packet has no such field."""
        match words:
            case (self.ip, "saddr") | ("ct", "original", self.ip, "saddr"):
                return self.packet.source
            case (self.ip, "daddr"):
                return state.daddr
            case ("ct", "original", self.ip, "daddr"):
                return self.packet.destination
            case ("ct", "original", "proto-dst"):
                return self.packet.port
            case ("tcp" | "udp" | "sctp" | "th" as protocol, "dport"):
                if protocol not in ("th", self._protocol):
                    raise NoMatchError
                return state.dport
            case ("tcp", "flags"):
                if self._protocol != "tcp":
                    raise NoMatchError
                return _SYN
            case ("icmp" | "icmpv6", "type"):
                # What is traced has ports.
                raise NoMatchError
            case (self.ip, "ttl" | "hoplimit"):
                return state.hops
            case ("ether", "saddr"):
                return self.packet.station
            case ("meta", "l4proto"):
                return self._protocol
            case ("meta", "mark"):
                return state.mark
            case ("ct", "state"):
                return "new"
            case ("ct", "status"):
                return "dnat" if state.translated else ""
            case ("fib", "saddr", "type"):
                return "local" if self.packet.source in self._node else "unicast"
            case _:
                raise ValueError(f"not understood: {' '.join(words)}")

    def elements(self, name: str) -> dict[str, str]:
        return self._table.maps[name].content

    def contains(self, name: str, key: str) -> bool:
        """Whether a set has the key."""
        elements = self._table.maps[name]
        if not elements.interval:
            return key in elements.content
        parts = key.split(" . ")
        return any(
            all(covers(each, part) for each, part in zip(entry.split(" . "), parts, strict=True))
            for entry in elements.content
        )


class _Rule:
    """Reads a rule from left to right and does as it says."""

    def __init__(self, trace: _Trace, text: str, state: _State) -> None:
        self._trace, self._state = trace, state
        self._words = Words(text, lambda field: trace.field(field, self._state), trace.packet.slot)

    def run(self) -> Iterator[_Step]:
        words = self._words
        while words.left:
            if words.left[0] in (*_TERMINAL, "goto", "jump"):
                yield from self._trace.verdict(words.left, self._state)
                return
            if words.take("masquerade"):
                yield _Verdict.ACCEPT, replace(self._state, masqueraded=True)
                return
            if words.take("dnat", self._trace.ip, "to"):
                yield from self._translate()
                return
            if words.take("dup", "to"):
                self._state = replace(self._state, copied=ip_address(words.left.pop(0)))
                words.expect("device")
                words.left.pop(0)
            elif words.take(*self._trace.time_to_live, "set"):
                self._state = replace(self._state, hops=int(words.left.pop(0)))
            elif words.take("meta", "mark", "set"):
                [mark] = words.operand()
                self._state = replace(self._state, mark=int(mark))
            elif words.take("update"):
                self._learn(words.name())
            else:
                [found] = words.concatenation()
                if words.take("vmap"):
                    yield from self._dispatch(words.name(), found)
                    return
                self._compare(found)
        yield _Verdict.CONTINUE, self._state

    def _dispatch(self, name: str, key: str) -> Iterator[_Step]:
        value = self._trace.elements(name).get(key)
        if value is None:
            raise NoMatchError
        yield from self._trace.verdict(value.split(), self._state)

    def _translate(self) -> Iterator[_Step]:
        """One step for each element that the key may lead to; where there is none, the rule does not match."""
        targets = [self._mapped()]
        if self._words.take(":"):
            targets.append(self._mapped())
        for parts in sorted(set(product(*targets))):
            if "" in parts:
                yield _Verdict.CONTINUE, self._state
                continue
            address, port = " . ".join(parts).split(" . ")
            state = replace(self._state, daddr=ip_address(address), dport=int(port), translated=True)
            yield _Verdict.ACCEPT, state

    def _mapped(self) -> list[str]:
        keys = self._words.concatenation()
        self._words.expect("map")
        elements = self._trace.elements(self._words.name())
        return [elements.get(key, "") for key in keys]

    def _learn(self, name: str) -> None:
        words = self._words
        words.expect("{")
        [key] = words.concatenation()
        words.expect("timeout")
        words.left.pop(0)
        words.expect(":")
        [value] = words.concatenation()
        words.expect("}")
        self._state = replace(self._state, learned=(*self._state.learned, (name, key, value)))

    def _compare(self, value: str) -> None:
        words = self._words
        unequal = words.take("!=")
        words.take("==")
        if words.take("<"):
            equal = int(value) < int(words.left.pop(0))
        elif words.take(">"):
            equal = int(value) > int(words.left.pop(0))
        elif words.left[0].startswith("@"):
            equal = self._trace.contains(words.name(), value)
        elif words.take("{"):
            equal = False
            while not words.take("}"):
                equal |= covers(words.left.pop(0), value)
                words.take(",")
        else:
            equal = covers(words.left.pop(0), value)
        if equal == unequal:
            raise NoMatchError


def _refused(verdict: _Verdict, state: _State) -> Outcome:
    if state.copied is not None:
        return Outcome(Fate.PASSED_ON, gateway=state.copied, hops=state.hops)
    return Outcome(Fate.REJECTED if verdict is _Verdict.REJECT else Fate.DROPPED)
