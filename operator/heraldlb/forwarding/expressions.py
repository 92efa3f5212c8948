"""nft's expressions, as far as our rules use them, read from left to right and evaluated for one packet. Pure."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Final

from heraldlb.api.ranges import IPAddress

Value = IPAddress | int | str

_FIELDS: Final = (
    *(("ct", "original", ip, end) for ip in ("ip", "ip6") for end in ("saddr", "daddr")),
    ("ct", "original", "proto-dst"),
    ("fib", "saddr", "type"),
    *((ip, end) for ip in ("ip", "ip6") for end in ("saddr", "daddr")),
    ("ether", "saddr"),
    ("ip", "ttl"),
    ("ip6", "hoplimit"),
    ("tcp", "flags"),
    *((protocol, "type") for protocol in ("icmp", "icmpv6")),
    *((protocol, "dport") for protocol in ("tcp", "udp", "sctp", "th")),
    *(("meta", name) for name in ("l4proto", "mark")),
    *(("ct", name) for name in ("state", "status")),
)


_FLAGS: Final = {"fin": 0x01, "syn": 0x02, "rst": 0x04, "ack": 0x10}
"""Of TCP."""


class NoMatchError(Exception):
    """The rule is not about this packet."""


class Words:
    """What is left of a rule. All that is read raises ValueError where it is not as it should be."""

    def __init__(self, rule: str, field: Callable[[tuple[str, ...]], Value], slot: int | None = None) -> None:
        """`field`: the packet's value of a field; raises NoMatchError where it has none. `slot`: what its hash
        comes to; None: anything."""
        for sign in "(){},":
            rule = rule.replace(sign, f" {sign} ")
        self.left = rule.split()
        self._field, self._slot = field, slot

    def take(self, *words: str) -> bool:
        """Whether these come next; then they are read."""
        if tuple(self.left[: len(words)]) != words:
            return False
        del self.left[: len(words)]
        return True

    def expect(self, word: str) -> None:
        """Read this word."""
        if not self.take(word):
            raise ValueError(f'not understood: "{" ".join(self.left)}" where "{word}" should be')

    def name(self) -> str:
        """The name of a map or set, which follows an @."""
        return self.left.pop(0).removeprefix("@")

    def concatenation(self) -> list[str]:
        """Every text that parts joined by dots may have together: several where chance or a hash decides."""
        parts = [self.operand()]
        while self.take("."):
            parts.append(self.operand())
        return [" . ".join(map(str, chosen)) for chosen in product(*parts)]

    def operand(self) -> list[Value]:
        """Every value that one part may have."""
        values = self._primary()
        while self.left and self.left[0] in ("&", "|", "^"):
            operator, mask = self.left.pop(0), self._mask()
            values = [_combine(value, operator, mask) for value in values]
        return values

    def _mask(self) -> int:
        """A number, or flags in brackets."""
        if not self.take("("):
            return int(_literal(self.left.pop(0)))
        mask = int(_literal(self.left.pop(0)))
        while not self.take(")"):
            self.expect("|")
            mask |= int(_literal(self.left.pop(0)))
        return mask

    def _primary(self) -> list[Value]:
        if self.take("("):
            inner = self.operand()
            self.expect(")")
            return inner
        if self.left[0] in ("numgen", "jhash"):
            return self._slots()
        for field in _FIELDS:
            if self.take(*field):
                return [self._field(field)]
        return [_literal(self.left.pop(0))]

    def _slots(self) -> list[Value]:
        hashed = self.left[0] == "jhash"
        while self.left.pop(0) != "mod":
            pass
        modulus, offset = int(self.left.pop(0)), 0
        while self.left and self.left[0] in ("seed", "offset"):
            if self.left.pop(0) == "offset":
                offset = int(self.left[0])
            del self.left[0]
        if hashed and self._slot is not None:
            return [offset + self._slot % modulus]
        return [offset + slot for slot in range(modulus)]


def covers(pattern: str, text: str) -> bool:
    """Whether a value is what a rule or an element says: the same, a number written otherwise, or in a network."""
    if pattern == text:
        return True
    if "/" in pattern:
        return ip_address(text) in ip_network(pattern)
    return text.isdecimal() and _literal(pattern) == int(text)


def _literal(word: str) -> IPAddress | int:
    """A number, a flag or an address."""
    if word in _FLAGS:
        return _FLAGS[word]
    try:
        return int(word, 0)
    except ValueError:
        pass
    try:
        return ip_address(word)
    except ValueError:
        raise ValueError(f"not understood: {word}") from None


def _combine(value: Value, operator: str, mask: int) -> Value:
    number = int(value)
    result = number & mask if operator == "&" else number | mask if operator == "|" else number ^ mask
    return result if isinstance(value, int) else type(ip_address(str(value)))(result)
