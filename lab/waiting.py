"""Waiting for something to become true, for as long as there is hope."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_INTERVAL = 0.05


class WaitTimeoutError(LabError):
    """What was waited for did not come about; says what it was."""


def wait_for(what: str, condition: Callable[[], T | None], timeout: float = 30.0) -> T:
    """Ask until `condition` returns something true; return that. Raises WaitTimeoutError after `timeout` s."""
    deadline = time.monotonic() + timeout
    while True:
        if result := condition():
            return result
        if time.monotonic() > deadline:
            raise WaitTimeoutError(f"waited {timeout:.0f} s in vain for {what}")
        time.sleep(_INTERVAL)
