"""The membership key, followed when its file changes, as it does when the kubelet brings a new Secret."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from heraldlb.speaker.settings import MIN_KEY

log = logging.getLogger(__name__)

CHECK_PERIOD = 5.0
"""Seconds between looks at the file. A mounted Secret is replaced by renaming folders, which is cheap to poll and
awkward to watch."""


class KeyFileError(Exception):
    """The key file cannot be used; the message says why and what to do."""


class KeyFile:
    """One key a line: heartbeats are signed with the first, and accepted under any."""

    def __init__(self, path: str) -> None:
        """Raises KeyFileError."""
        self._path = Path(path)
        self._keys = self._read()

    def keys(self) -> tuple[bytes, ...]:
        """The keys as last read. Cheap, and callable from any thread."""
        return self._keys

    async def follow(self) -> None:
        """Take in changes of the file, for ever; one that cannot be read leaves the keys as they are."""
        while True:
            await asyncio.sleep(CHECK_PERIOD)
            try:
                keys = await asyncio.to_thread(self._read)
            except KeyFileError as error:
                log.warning("keeping the membership key in use: %s", error)
                continue
            if keys != self._keys:
                log.info("the membership key has changed")
                self._keys = keys

    def _read(self) -> tuple[bytes, ...]:
        try:
            lines = self._path.read_bytes().split()
        except OSError as error:
            raise KeyFileError(f"--membership-key-file {self._path}: {error.strerror}") from error
        if not lines or any(len(line) < MIN_KEY for line in lines):
            raise KeyFileError(
                f"--membership-key-file {self._path}: needs one key a line of at least {MIN_KEY} characters,"
                " for example from: openssl rand -hex 32"
            )
        return tuple(lines)
