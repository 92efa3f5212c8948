"""Logging to standard error: for people, or as one JSON object a line. Times are UTC, as RFC 3339 writes them."""

from __future__ import annotations

import logging
import time
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

Format = Literal["text", "json"]


def configure(level: str, style: Format) -> None:
    """Set up the root logger. Kopf and its HTTP client speak only from warnings up."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(style))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    quiet = logging.DEBUG if level == "debug" else logging.WARNING
    for name in ("kopf", "aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(quiet)
    # It warns that it handles no signals, which is as it should be: the process does.
    logging.getLogger("kopf._core.reactor.running").setLevel(max(quiet, logging.ERROR))


def formatter(style: Format) -> logging.Formatter:
    """The way lines look. JSON has `time`, `level`, `logger` and `message`; a decision has `service` and `reason`,
    a failure of ours `exc_info`."""
    made: logging.Formatter
    if style == "json":
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        made = JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=names)
    else:
        made = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    made.converter = time.gmtime
    made.default_time_format = "%Y-%m-%dT%H:%M:%S"
    made.default_msec_format = "%s.%03dZ"
    return made
