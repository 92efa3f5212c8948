"""What a check is, and what it may need to have been read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.findings import Finding

Need = Callable[[Seen], Iterable[str]]
"""Of what was seen: what is lacking, and why; nothing where all is there."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at."""

    title: str
    """What is looked at, as an item of a list: "clocks"."""
    find: Callable[[Seen], Iterable[Finding]]
    needs: tuple[Need, ...] = ()
    of_nodes: bool = False
    """It is also made where only one node is looked at."""
    told: Callable[[Seen], str] | None = None
    """What to add to the title where nothing was found; empty: nothing."""

    def lacking(self, seen: Seen) -> tuple[str, ...]:
        """What it would have needed, too, and why that is not there."""
        return tuple(dict.fromkeys(each for need in self.needs for each in need(seen)))


def kind(name: str) -> Need:
    """Objects of a kind, named as the field of Snapshot."""

    def lacking(seen: Seen) -> Iterable[str]:
        why = seen.snapshot.unread.get(name)
        return () if why is None else (why,)

    return lacking


def every_node(seen: Seen) -> Iterable[str]:
    """What the agent of every node, or of the one that is looked at, tells."""
    if "pods" in seen.snapshot.unread:
        yield seen.snapshot.unread["pods"]
    elif not seen.examined and not seen.unasked:
        yield f"no agent runs on {seen.node}" if seen.node else "no agent runs in this cluster"
    for node, why in sorted(seen.unasked.items()):
        yield f"{node}: {why}"


def network(seen: Seen) -> Iterable[str]:
    """What nodes find out on their network segments."""
    if not seen.probes:
        yield "nothing was asked of the network (--no-probe)"
        return
    yield from every_node(seen)
    for node, why in sorted(seen.unsurveyed.items()):
        yield f"{node}: {why}"
    for node, each in sorted(seen.surveyed.items()):
        for trouble in each.survey.troubles:
            yield f"{node}, {trouble.link}: {trouble.reason}"


def workloads(seen: Seen) -> Iterable[str]:
    """What runs beside Herald."""
    return (seen.beside.unread,) if seen.beside.unread else ()
