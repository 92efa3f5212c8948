"""An end that one thread sets for another, and for what runs in the other's event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stop:
    """Set once, by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = threading.Event()
        self._task: asyncio.Task[Any] | None = None

    def set(self) -> None:
        """Also cancels the task that is within `cancels`."""
        with self._lock:
            self._set.set()
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def is_set(self) -> bool:
        """Whether the end has come."""
        return self._set.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it is set, or for `timeout` seconds; whether it is."""
        return self._set.wait(timeout)

    @contextmanager
    def cancels(self) -> Iterator[None]:
        """Until this is left, the current task is cancelled when the end comes. One task at a time."""
        with self._lock:
            self._task = asyncio.current_task()
            if self._task is not None and self._set.is_set():
                self._task.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._task = None
