"""What the log says of addresses that come and go."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import ip_address

import pytest

from heraldlb.agent import journal
from heraldlb.agent.journal import NAMED, Journal, lines

FIRST, SECOND, THIRD = (ip_address(f"10.0.0.{number}") for number in (1, 2, 3))


def test_addresses_are_one_line_by_interface_and_by_new_owner() -> None:
    assert lines({FIRST: "eth0", SECOND: "eth1", THIRD: "eth0"}, {}) == [
        "announcing 10.0.0.1, 10.0.0.3 on eth0",
        "announcing 10.0.0.2 on eth1",
    ]
    assert lines({}, {FIRST: "n2", SECOND: None, THIRD: "n2"}) == [
        "no longer announcing 10.0.0.1, 10.0.0.3; now: n2",
        "no longer announcing 10.0.0.2; now: nobody",
    ]


def test_a_line_does_not_grow_without_end() -> None:
    many = {ip_address(number): "eth0" for number in range(1, NAMED + 8)}
    [line] = lines(many, {})
    assert line.endswith(f"{ip_address(NAMED)} and 7 more on eth0")


async def test_what_comes_together_is_written_once_and_what_went_again_not_at_all(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(journal, "SETTLE", 0.0)
    written = Journal()
    written.announced(FIRST, "eth0")
    written.announced(SECOND, "eth0")
    written.withdrawn(SECOND, "n2")
    assert caplog.messages == []
    await asyncio.sleep(0.01)
    expected = ["announcing 10.0.0.1 on eth0", "no longer announcing 10.0.0.2; now: n2"]
    assert caplog.messages == expected
    written.write()
    assert caplog.messages == expected
