"""The edge to the kernel: `nft -f -`, one transaction a call."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Protocol

MESSAGE_LENGTH: Final = 200
"""Characters of nft's complaint that are kept: it repeats itself for every statement it refuses."""

_REMEMBERED: Final = 64
"""Processes of which we know that they were ours; the kernel's notifications are read within less time."""


class NftFailure(StrEnum):
    """What kind of failure it was, and so what helps."""

    NOT_FOUND = "NotFound"
    """There is no `nft` on PATH."""
    NOT_PERMITTED = "NotPermitted"
    """The process lacks CAP_NET_ADMIN."""
    TIMEOUT = "Timeout"
    """The kernel may or may not have taken the transaction."""
    REFUSED = "Refused"
    """nft or the kernel refused the transaction; nothing of it was applied."""


class NftError(Exception):
    """A transaction that was not applied, or for a timeout, may not have been."""

    def __init__(self, failure: NftFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


class Runner(Protocol):
    """What applies transactions; both methods raise NftError."""

    async def apply(self, text: str) -> None:
        """Apply all of `text`, or nothing of it."""

    async def check(self, text: str) -> None:
        """Have nft and the kernel examine `text` without applying it."""


class Nft:
    """Runs nft as a subprocess.

    `command` may lead into a network namespace: `("ip", "netns", "exec", NAME, "nft")`. `timeout` in seconds.
    """

    def __init__(self, command: Sequence[str] = ("nft",), *, timeout: float = 60.0) -> None:
        self._command = tuple(command)
        self._timeout = timeout
        self._processes: deque[int] = deque(maxlen=_REMEMBERED)

    def ran(self, process: int) -> bool:
        """Whether nft was run of late, or is running, as the process of that id."""
        return process in self._processes

    async def apply(self, text: str) -> None:
        await self._run(("-f", "-"), text)

    async def check(self, text: str) -> None:
        await self._run(("--check", "-f", "-"), text)

    async def _run(self, arguments: Sequence[str], text: str) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except FileNotFoundError:
            raise NftError(
                NftFailure.NOT_FOUND, f"{self._command[0]} is not installed: install the package nftables"
            ) from None
        self._processes.append(process.pid)
        try:
            async with asyncio.timeout(self._timeout):
                _, complaint = await process.communicate(text.encode())
        except TimeoutError:
            raise NftError(NftFailure.TIMEOUT, f"nft did not finish within {self._timeout:g} s") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            raise classify(complaint.decode(errors="replace"))


def classify(complaint: str) -> NftError:
    """The error for what nft wrote on standard error."""
    message = _first_error(complaint)
    if "Operation not permitted" in complaint:
        return NftError(NftFailure.NOT_PERMITTED, "nft may not change the ruleset: it needs CAP_NET_ADMIN")
    return NftError(NftFailure.REFUSED, message or "nft failed without a message")


def _first_error(complaint: str) -> str:
    """nft writes the place and the error, then the line it is about, then marks below that line."""
    errors = re.findall(r"^(?:\S+: )?Error: (.+)\n(?:(.*)\n)?", f"{complaint}\n", re.MULTILINE)
    if not errors:
        return complaint.strip()[:MESSAGE_LENGTH]
    error, line = errors[0]
    return f"{error} ({line.strip(' ,')})"[:MESSAGE_LENGTH] if line else error[:MESSAGE_LENGTH]
