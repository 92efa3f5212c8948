"""Logging to standard error: for people, or as one JSON object a line."""

from __future__ import annotations

import logging
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

Format = Literal["text", "json"]


def configure(level: str, style: Format) -> None:
    """Set up the root logger. Kopf and its HTTP client speak only from warnings up."""
    handler = logging.StreamHandler()
    if style == "json":
        handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    quiet = logging.DEBUG if level == "debug" else logging.WARNING
    for name in ("kopf", "aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(quiet)
    # It warns that it handles no signals, which is as it should be: the process does.
    logging.getLogger("kopf._core.reactor.running").setLevel(max(quiet, logging.ERROR))
