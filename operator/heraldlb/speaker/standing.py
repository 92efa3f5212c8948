"""Whether this node may own addresses: a state machine, written as one pure function.

    start -> JOINING           JOINING -> SERVING or ISOLATED, when all peers are heard or the grace is over
    SERVING -> ISOLATED        when no peer is heard any more
    ISOLATED -> JOINING        when one is heard again; -> SERVING when something else vouches for the node
    any -> JOINING             when the loop finds that it was away (see `loop`)
    any -> LEAVING             when asked to stop; final

JOINING listens and owns nothing, so that a node which starts, or wakes after having been stopped, learns that
others serve before it answers anything. ISOLATED is a node that knows of two peers or more and hears none: more
likely it is cut off than they are all dead, so it stays silent, unless it has proof that the outside reaches
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Standing(IntEnum):
    """What a node says of itself; the value is what heartbeats carry. Only SERVING nodes are elected."""

    JOINING = 0
    SERVING = 1
    ISOLATED = 2
    LEAVING = 3


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the next standing depends on."""

    peers: int
    """Other nodes that the cluster's objects name."""
    heard: int
    """Those of them heard directly."""
    grace_over: bool
    """Whether this node has listened long enough since it started, woke or was isolated."""
    witnessed: bool
    """Whether something else proves that the outside reaches this node."""


def next_standing(current: Standing, around: Surroundings) -> Standing:
    """Where to go from here; the same standing if nothing asks for another."""
    alone = around.peers >= 2 and around.heard == 0 and not around.witnessed
    match current:
        case Standing.JOINING if around.heard >= around.peers or around.grace_over:
            return Standing.ISOLATED if alone else Standing.SERVING
        case Standing.SERVING if alone:
            return Standing.ISOLATED
        case Standing.ISOLATED if around.heard:
            return Standing.JOINING
        case Standing.ISOLATED if not alone:
            return Standing.SERVING
    return current
