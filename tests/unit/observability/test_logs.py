"""Lines of the log as programs and people read them."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta

from heraldlb.observability.logs import Format, formatter


def line(style: Format, **extra: str) -> str:
    record = logging.LogRecord("heraldlb.some", logging.INFO, "file", 1, "%s went", ("it",), None)
    record.created = 1_800_000_000.25
    record.msecs = 250.0
    vars(record).update(extra)
    return formatter(style).format(record)


def test_a_line_of_json_has_its_time_in_utc_and_what_it_is_about() -> None:
    found = json.loads(line("json", service="default/web", reason="NoPool"))
    when = datetime.fromisoformat(found.pop("time"))
    assert when.utcoffset() == timedelta(0)
    assert when.timestamp() == 1_800_000_000.25
    assert found == {
        "level": "INFO",
        "logger": "heraldlb.some",
        "message": "it went",
        "service": "default/web",
        "reason": "NoPool",
    }


def test_a_line_of_text_has_its_time_in_utc() -> None:
    assert line("text") == "2027-01-15T08:00:00.250Z INFO    heraldlb.some: it went"
