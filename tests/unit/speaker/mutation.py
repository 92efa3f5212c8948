"""Seeds and what a fuzzer makes of them. The same generator gives the same mutants."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

LONG = bool(os.environ.get("HERALD_LONG"))
MUTANTS = 1_000_000 if LONG else 4_000
"""Mutants for each parser."""

CORPUS = Path(__file__).parent / "corpus"
_EDGES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
_MOST_CHANGES = 4
_LONGEST = 2_048

Mutation = Callable[[bytearray, random.Random], None]


def seeds(folder: str) -> dict[str, bytes]:
    """Every file of one folder of the corpus, by name."""
    found = {path.stem: bytes.fromhex(path.read_text()) for path in sorted((CORPUS / folder).glob("*.hex"))}
    assert found, f"the corpus has no {folder}"
    return found


def mutants(folder: str, repair: Callable[[bytearray], None], count: int = MUTANTS) -> Iterator[bytes]:
    """Changed seeds. `repair` makes checksums or signatures right again, and is used on every other mutant, so that
    what comes after that check is reached as well."""
    originals = list(seeds(folder).values())
    chance = random.Random(folder)  # noqa: S311 - reproducible
    for number in range(count):
        mutant = bytearray(chance.choice(originals))
        for _ in range(chance.randint(1, _MOST_CHANGES)):
            chance.choice(_MUTATIONS)(mutant, chance)
        if chance.random() < 1 / 8:
            _splice(mutant, chance.choice(originals), chance)
        if number % 2:
            repair(mutant)
        yield bytes(mutant[:_LONGEST])


def _flip_bit(mutant: bytearray, chance: random.Random) -> None:
    if mutant:
        mutant[chance.randrange(len(mutant))] ^= 1 << chance.randrange(8)


def _set_octet(mutant: bytearray, chance: random.Random) -> None:
    if mutant:
        mutant[chance.randrange(len(mutant))] = chance.randrange(256)


def _set_edge(mutant: bytearray, chance: random.Random) -> None:
    if mutant:
        mutant[chance.randrange(len(mutant))] = chance.choice(_EDGES)


def _cut_end(mutant: bytearray, chance: random.Random) -> None:
    del mutant[chance.randint(0, len(mutant)) :]


def _cut_out(mutant: bytearray, chance: random.Random) -> None:
    start = chance.randint(0, len(mutant))
    del mutant[start : start + chance.randint(1, 8)]


def _insert(mutant: bytearray, chance: random.Random) -> None:
    start = chance.randint(0, len(mutant))
    mutant[start:start] = chance.randbytes(chance.randint(1, 8))


def _repeat(mutant: bytearray, chance: random.Random) -> None:
    start = chance.randint(0, len(mutant))
    mutant[start:start] = mutant[start : start + chance.randint(1, 32)]


def _splice(mutant: bytearray, other: bytes, chance: random.Random) -> None:
    start = chance.randint(0, len(mutant))
    mutant[start:] = other[start:]


_MUTATIONS: tuple[Mutation, ...] = (
    *(_flip_bit, _set_octet, _set_edge) * 3,
    _cut_end,
    _cut_out,
    _insert,
    _repeat,
)
