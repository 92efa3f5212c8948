"""The exit statuses of `kubectl herald`: an interface, which scripts rely on."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What each means stands in `MEANINGS`; numbers never change."""

    FINE = 0
    WRONG = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    FORBIDDEN = 5


MEANINGS = {
    Exit.FINE: "The command did its work, and found nothing wrong.",
    Exit.WRONG: "The command did its work, and found something wrong; the output says what.",
    Exit.USAGE: "The command line cannot be understood.",
    Exit.UNREACHABLE: "The cluster could not be asked: no credentials, or no answer.",
    Exit.NOT_FOUND: "What was asked about does not exist.",
    Exit.FORBIDDEN: "The API server refuses: these credentials may not read, or write, what the command needs.",
}


class CommandError(Exception):
    """Ends the command with a message on standard error and that exit status."""

    def __init__(self, message: str, status: Exit) -> None:
        super().__init__(message)
        self.status = status
