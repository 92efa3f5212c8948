"""Whether this node may own addresses: a state machine, written as one pure function.

    start -> JOINING           as does a loop that finds that it was away (see `loop`)
    JOINING -> SERVING         when all peers are heard or the grace is over
            -> PROBATION       instead, where established nodes live
            -> ISOLATED        instead, when nobody is heard
    PROBATION -> SERVING       when it has held out, or no established node lives any more
    SERVING -> ESTABLISHED     when it has served for a while
    any that owns -> ISOLATED  when no peer is heard any more
    ISOLATED -> JOINING        when one is heard again
             -> SERVING        when something else vouches for the node
    any -> LEAVING             when asked to stop; final

JOINING listens and owns nothing, so that a node which starts, or wakes after having been stopped, learns that
others serve before it answers anything. Then, where nodes are established, it is on PROBATION: elected only for
what none of them can announce, so that addresses do not hop back the moment a node returns. ISOLATED is a node that
knows of two peers or more and hears none: more likely it is cut off than they are all dead, so it stays silent,
unless it has proof that the outside reaches it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Standing(IntEnum):
    """What a node says of itself; the value is what heartbeats carry."""

    JOINING = 0
    SERVING = 1
    ISOLATED = 2
    LEAVING = 3
    PROBATION = 4
    ESTABLISHED = 5


ELIGIBLE: Final = frozenset({Standing.SERVING, Standing.PROBATION, Standing.ESTABLISHED})
"""Those that may be elected."""


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
    established: bool = False
    """Whether another live node is established."""
    held_out: bool = False
    """Whether this node has had its standing for as long as probation lasts for it."""


def next_standing(current: Standing, around: Surroundings) -> Standing:
    """Where to go from here; the same standing if nothing asks for another."""
    alone = around.peers >= 2 and around.heard == 0 and not around.witnessed
    match current:
        case Standing.JOINING if around.heard >= around.peers or around.grace_over:
            if alone:
                return Standing.ISOLATED
            return Standing.PROBATION if around.established else Standing.SERVING
        case Standing.SERVING | Standing.PROBATION | Standing.ESTABLISHED if alone:
            return Standing.ISOLATED
        case Standing.PROBATION if around.held_out or not around.established:
            return Standing.SERVING
        case Standing.SERVING if around.held_out:
            return Standing.ESTABLISHED
        case Standing.ISOLATED if around.heard:
            return Standing.JOINING
        case Standing.ISOLATED if not alone:
            return Standing.SERVING
    return current
