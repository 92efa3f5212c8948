"""Clocks: of the nodes, of the API server, and of this machine. Pure.

Agents and controllers compare no clocks with each other. What suffers from a wrong one is around them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from heraldlb.cli.kubectl.doctor.seen import Reading, Seen
from heraldlb.cli.kubectl.findings import Finding, Severity, listed

_WORTH_TELLING: Final = 2.0
"""Seconds. Hosts that keep time by NTP differ by milliseconds."""
_HARMFUL: Final = 60.0
"""Seconds. Certificates and tokens that were made just now are refused where the clock is behind by so much."""


def of_nodes(seen: Seen) -> Iterator[Finding]:
    """Nodes that differ from the API server, or from each other where its clock is not to be had."""
    found = {name: each.clock for name, each in sorted(seen.examined.items())}
    if not found:
        return
    reference = seen.server or sorted(found.values(), key=lambda each: each.ahead)[len(found) // 2]
    against = "the API server's" if seen.server is not None else "most nodes'"
    off = {name: skew for name, each in found.items() if (skew := _skew(each, reference))}
    if not off:
        return
    told = listed([f"{name}'s is {_words(skew)}" for name, skew in off.items()])
    worst = max(map(abs, off.values()))
    harm = "certificates and tokens made just now are refused, and " if worst >= _HARMFUL else ""
    message = f"held against {against}, {told}: {harm}Events and logs of nodes are out of order"
    severity = Severity.WRONG if worst >= _HARMFUL else Severity.NOTICE
    yield Finding(severity, "clocks", message, "keep time by NTP on every node: timedatectl, chronyc tracking")


def here(seen: Seen) -> Iterator[Finding]:
    """This machine, whose clock tells what is old and whether a Lease has expired."""
    if seen.server is not None and (skew := _skew(Reading(0.0, 0.0), seen.server)):
        message = f"this machine's is {_words(skew)}, held against the API server's: ages that it shows are wrong"
        yield Finding(Severity.NOTICE, "clocks", message, "set it: timedatectl")


def unknown_server(seen: Seen) -> Iterator[str]:
    """A need: the API server's clock."""
    if seen.server is None:
        yield "the API server's answers bear no date"


def _skew(clock: Reading, reference: Reading) -> float:
    """Seconds by which it is ahead of the reference; 0 where that may be an error of reading, or is little."""
    difference = clock.ahead - reference.ahead
    return difference if abs(difference) > _WORTH_TELLING + clock.margin + reference.margin else 0.0


def _words(skew: float) -> str:
    return f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
