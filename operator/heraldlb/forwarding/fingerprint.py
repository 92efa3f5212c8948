"""Recognising our own rules in the kernel without reading them: each chain, and each table for its frame, carries a
digest of the statements that made it as its comment. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from heraldlb.api.ranges import Family
from heraldlb.forwarding.elements import Chain
from heraldlb.forwarding.frame import WORDS, chain_statements, frame_statements
from heraldlb.forwarding.model import Frame


@dataclass(frozen=True, slots=True)
class Outline:
    """What a list of statements leaves in a table."""

    fingerprint: str
    """16 hexadecimal digits."""
    rules: Mapping[str, int]
    """The chains it makes, each with how many rules it has."""


def outline(statements: Iterable[str]) -> Outline:
    """The outline of the table or chain that these statements make."""
    digest, rules = sha256(), Counter[str]()
    for statement in statements:
        digest.update(f"{statement}\n".encode())
        match statement.split(None, 5):
            case ["add", "chain", _, _, name, *_]:
                rules[name] += 0
            case ["add", "rule", _, _, name, *_]:
                rules[name] += 1
    return Outline(digest.hexdigest()[:16], rules)


def signed_frame(family: Family, frame: Frame) -> Iterator[str]:
    """Makes the table of one family without any Service, with its fingerprint."""
    statements = list(frame_statements(family, frame))
    yield f'add table {WORDS[family].table} {{ comment "{outline(statements).fingerprint}"; }}'
    yield from statements


def signed_chain(family: Family, frame: Frame, chain: Chain) -> Iterator[str]:
    """Makes one of the chains that elements refer to or need, with its fingerprint."""
    definition, *rules = statements = list(chain_statements(family, frame, chain))
    head, _, hook = definition.removesuffix("}").partition("{")
    yield f'{head.strip()} {{ {hook.lstrip()}comment "{outline(statements).fingerprint}"; }}'
    # One that is out of use may not have been deleted yet.
    yield f"flush chain {WORDS[family].table} {chain}"
    yield from rules
