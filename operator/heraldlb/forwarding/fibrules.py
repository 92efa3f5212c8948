"""Whether firewalld drops packets whose sender is not reached by the interface that they came in by. Reads only.

That its chains exist does not tell: they do whatever its IPv6_rpfilter is. So their rules are looked through, for
nothing but what they look up in routes (`fib`). nft, which may not know what others write, has no part in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding import nftmessages as nf
from heraldlb.forwarding.netlink import OpenSocket, conversation, dump, open_socket
from heraldlb.forwarding.proxies import Chain

CHAINS: Final = (
    Chain("inet", "firewalld", "filter_PREROUTING"),
    Chain("inet", "firewalld", "filter_FORWARD"),
)
"""IPv6_rpfilter: strict, which is its default, and strict-forward."""

_SADDR, _IIF = 0x1, 0x8
"""NFTA_FIB_F_SADDR, NFTA_FIB_F_IIF."""
_FLAGS: Final = 3
"""NFTA_FIB_FLAGS."""
_NUMBERS: Final = {name: number for number, name in nl.NFPROTO.items()}


def strict(opener: OpenSocket = open_socket) -> bool:
    """Whether any of CHAINS has such a rule. Blocks: not for an event loop. Raises OSError."""
    with conversation(opener) as sock:
        for sequence, chain in enumerate(CHAINS, start=1):
            wanted = {nf.RULE_TABLE: chain.table, nf.RULE_CHAIN: chain.name}
            rules = list(dump(sock, nf.dump(nf.GET_RULE, _NUMBERS[chain.family], sequence, wanted)))
            if any(map(_is_strict, rules)):
                return True
    return False


def _is_strict(rule: nl.Message) -> bool:
    return any(flags & (_SADDR | _IIF) == _SADDR | _IIF for flags in _lookups(rule))


def _lookups(rule: nl.Message) -> Iterator[int]:
    for _, expression in nl.each_attribute(rule.attributes().get(nf.RULE_EXPRESSIONS, memoryview(b""))):
        found = nl.attributes(expression)
        if nl.name(found[nf.EXPRESSION_NAME]) == "fib":
            yield nl.integer(nl.attributes(found[nf.EXPRESSION_DATA])[_FLAGS])
