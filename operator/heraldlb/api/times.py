"""Times as the API writes them: RFC 3339 in UTC, `metav1.Time` to the second and `metav1.MicroTime` finer. Pure."""

from __future__ import annotations

import datetime


def written(seconds: float) -> str:
    """A time in Unix seconds as `metav1.Time`."""
    return _written(seconds, "seconds")


def written_finely(seconds: float) -> str:
    """A time in Unix seconds as `metav1.MicroTime`."""
    return _written(seconds, "microseconds")


def parse_time(text: str) -> float | None:
    """Unix seconds, or None where the text is no time with an offset from UTC."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None


def _written(seconds: float, precision: str) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
