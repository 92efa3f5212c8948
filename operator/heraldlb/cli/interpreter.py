"""Sets the interpreter up for a process that does nothing else."""

from __future__ import annotations

import gc
import sys
from typing import Final

SWITCH_INTERVAL: Final = 0.0005
"""Seconds for which one thread may keep the interpreter from another. With the default, ten times that, an ARP
request waits longer behind busy Python than everything else takes to answer it, and what decides and writes in the
controller waits behind Kopf's thread."""

GC_ALLOCATIONS: Final = 50_000
"""New objects after which those that refer to each other in circles are searched for, which holds up all threads.
Decoding what the API server says makes many and none of that kind, and with the default, 700, the search takes a
tenth of all processor time."""


def tune() -> None:
    """To be called once, when everything is imported: what is there by then is not searched any more."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS)
