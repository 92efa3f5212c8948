"""A Dockerfile's instructions, read far enough to carry out what needs no container."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its keyword, and what follows on one line."""

    keyword: str
    rest: str

    @property
    def words(self) -> list[str]:
        return self.rest.split()


def parse(text: str) -> list[Instruction]:
    """The instructions in order, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines()]


def stages(instructions: list[Instruction]) -> list[list[Instruction]]:
    """The instructions of each stage, without those before the first FROM."""
    found: list[list[Instruction]] = []
    for instruction in instructions:
        if instruction.keyword == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found
