"""The speaker as the rest of the agent sees it: snapshots in, changes out, one thread between."""

from __future__ import annotations

import logging
import threading

from heraldlb.speaker.desired import Desired
from heraldlb.speaker.loop import Loop, OnChange, clock
from heraldlb.speaker.settings import SpeakerSettings
from heraldlb.speaker.stats import SpeakerStats, SpeakerView

log = logging.getLogger(__name__)

_CLOSE_TIMEOUT = 5.0


class Speaker:
    """Announces what `apply` asks for. Needs CAP_NET_RAW and CAP_NET_ADMIN.

    `on_change` is called from the speaker's thread, so it must return at once: hand the change on
    (`loop.call_soon_threadsafe`) and leave. Until the first `apply` nothing is announced and nobody is heard.
    """

    def __init__(self, settings: SpeakerSettings, on_change: OnChange) -> None:
        self._settings = settings
        self._on_change = on_change
        self._loop: Loop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the sockets and start the thread. Raises OSError: the membership port is taken, or no permission."""
        if self._loop is not None:
            raise RuntimeError("a speaker starts once: make another")
        self._loop = Loop(self._settings, self._on_change)
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="speaker", daemon=True)
        self._thread.start()

    def apply(self, desired: Desired) -> None:
        """Replace the snapshot to act on. Thread-safe, returns at once; without effect after `close`."""
        self._started.apply(desired)

    def close(self) -> None:
        """Say goodbye so that peers take over at once, go on answering while they do, then stop. Blocks for about
        `leave_linger`; safe to call twice."""
        thread = self._thread
        if thread is None:
            return
        self._started.leave()
        thread.join(_CLOSE_TIMEOUT)
        if thread.is_alive():
            log.error("the speaker has not stopped within %.0f s", _CLOSE_TIMEOUT)

    def health(self) -> float:
        """Seconds since the loop last turned. It turns at every heartbeat; after an error it never does again,
        and more than a few seconds are a reason to restart the agent."""
        return max(0.0, clock() - self._started.turned)

    def stats(self) -> SpeakerStats:
        """A snapshot of the counters. Thread-safe."""
        return self._started.stats()

    def view(self) -> SpeakerView:
        """What it sees at this moment, beyond what the counters tell. Thread-safe."""
        return self._started.view()

    @property
    def _started(self) -> Loop:
        if self._loop is None:
            raise RuntimeError("the speaker is not started: call start() first")
        return self._loop

    @staticmethod
    def _run(loop: Loop) -> None:
        try:
            loop.run()
        except Exception:
            log.exception("the speaker failed and answers no more")
