"""How the API server is asked and how it answers: `heraldlb_api_*` and `heraldlb_watch_*`. Of the whole process."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

UNREACHABLE: Final = "unreachable"
"""In place of an HTTP status: there was no answer, or none in time."""

WATCH: Final = "WATCH"
"""In place of an HTTP method: a GET whose answer does not end."""

REQUESTS: Final = Counter(
    "heraldlb_api_requests",
    f"Requests to the API server by HTTP method ({WATCH} for a watch) and status, or {UNREACHABLE}.",
    ["method", "code"],
)
DURATIONS: Final = Histogram(
    "heraldlb_api_request_duration_seconds",
    "Time from a request to the whole answer; watches, which do not end, are not among them.",
    ["method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
WATCH_EVENTS: Final = Counter(
    "heraldlb_watch_events",
    "Changes that were watched, by kind; those of a list after a watch broke included.",
    ["resource"],
)
WATCH_HEARD: Final = Gauge(
    "heraldlb_watch_last_heard_timestamp_seconds",
    "When the API server last said anything to the watch of a kind, or took one on, in Unix time.",
    ["resource"],
)
EVENTS_DROPPED: Final = Counter(
    "heraldlb_events_dropped",
    "Events for users that were given up, since too many waited or the API server refused.",
)


def answered(method: str, status: int, seconds: float | None = None) -> None:
    """Count an answer; `seconds`: how long it took, where it has ended."""
    REQUESTS.labels(method, str(status)).inc()
    if seconds is not None:
        DURATIONS.labels(method).observe(seconds)


def unreachable(method: str) -> None:
    """Count a request without an answer."""
    REQUESTS.labels(method, UNREACHABLE).inc()
