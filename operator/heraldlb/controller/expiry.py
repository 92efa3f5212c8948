"""Waking up when something that is kept is over: one timer, set for the next that ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from heraldlb.controller.assignments import Assignments
from heraldlb.controller.keeping import Ended

LONGEST_SLEEP = 3600.0
"""Seconds after which to look anyway: a clock may have been set, and timers have a limit."""


class Expiry:
    """Ends reservations and quarantines in time. `arm` must be called when there may be new ones."""

    def __init__(self, assignments: Assignments, ended: Callable[[Ended], None]) -> None:
        self._assignments = assignments
        self._ended = ended
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: float | None = None

    def arm(self) -> None:
        """Set the timer for what ends next."""
        when = self._assignments.next_expiry()
        if when == self._armed_for:
            return
        self.close()
        if when is not None:
            delay = min(max(when - time.time(), 0.0), LONGEST_SLEEP)
            self._timer = asyncio.get_running_loop().call_later(delay, self.act)
            self._armed_for = when

    def act(self) -> None:
        """End what is over now."""
        self.close()
        ended = self._assignments.expire(time.time())
        if ended.changed or ended.helped:
            self._ended(ended)
        self.arm()

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._armed_for = None
