"""Times as the API writes them: RFC 3339 in UTC, `metav1.Time` to the second and `metav1.MicroTime` finer."""

from __future__ import annotations

import datetime


def now() -> str:
    """The present as `metav1.Time`."""
    return _written(datetime.datetime.now(datetime.UTC), "seconds")


def now_micro() -> str:
    """The present as `metav1.MicroTime`."""
    return _written(datetime.datetime.now(datetime.UTC), "microseconds")


def at(seconds: float) -> str:
    """A time in Unix seconds as `metav1.Time`."""
    return _written(datetime.datetime.fromtimestamp(seconds, datetime.UTC), "seconds")


def _written(moment: datetime.datetime, precision: str) -> str:
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
