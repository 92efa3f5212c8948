"""When announcements go out."""

from __future__ import annotations

from ipaddress import IPv4Address

from heraldlb.speaker.constants import REFRESH_INTERVAL
from heraldlb.speaker.pacing import AnnouncementSchedule, TokenBucket

ONE, TWO = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")


def sent(schedule: AnnouncementSchedule, until: float) -> list[float]:
    """The times, in hundredths of a second, at which something is due."""
    hundredths = (n / 100 for n in range(round(until * 100) + 1))
    return [now for now in hundredths for _ in schedule.due(now, 10)]


def test_an_address_is_announced_at_once_and_then_by_the_schedule() -> None:
    schedule = AnnouncementSchedule((0.0, 0.1, 0.3, 1.0))
    schedule.start(ONE, 0.0)
    assert sent(schedule, 5.0) == [0.0, 0.1, 0.3, 1.0]


def test_an_announced_address_is_refreshed_for_as_long_as_it_is_owned() -> None:
    schedule = AnnouncementSchedule((0.0,))
    schedule.start(ONE, 0.0)
    assert sent(schedule, 3 * REFRESH_INTERVAL) == [n * REFRESH_INTERVAL for n in range(4)]
    schedule.stop(ONE)
    assert schedule.due(1e9, 10) == []
    assert schedule.next_due() is None


def test_however_many_addresses_there_are_refreshes_are_a_second_apart_and_reach_all_in_turn() -> None:
    many = [ONE + n for n in range(200)]
    schedule = AnnouncementSchedule((0.0,))
    for address in many:
        schedule.start(address, 0.0)
    assert schedule.due(0.0, 1_000) == many
    rounds = [schedule.due(float(now), 1_000) for now in range(1, 2_000)]
    assert max(map(len, rounds)) == 1
    refreshed = [address for due in rounds for address in due]
    assert refreshed[: 2 * len(many)] == many * 2


def test_an_address_taken_anew_has_its_burst_whatever_refreshes_wait() -> None:
    schedule = AnnouncementSchedule((0.0, 0.1))
    schedule.start(ONE, 0.0)
    sent(schedule, 1.0)
    schedule.start(ONE, 1.0)
    assert schedule.due(1.0, 10) == [ONE]
    assert schedule.due(1.1, 10) == [ONE]


def test_an_address_that_is_given_up_is_announced_no_more() -> None:
    schedule = AnnouncementSchedule((0.0, 0.1))
    schedule.start(ONE, 0.0)
    assert schedule.due(0.0, 10) == [ONE]
    schedule.stop(ONE)
    assert schedule.due(9.0, 10) == []


def test_a_second_start_replaces_the_first() -> None:
    schedule = AnnouncementSchedule((0.0, 0.1))
    schedule.start(ONE, 0.0)
    schedule.start(ONE, 0.0)
    assert sent(schedule, 1.0) == [0.0, 0.1]


def test_a_delayed_loop_does_not_send_all_that_is_late_at_once() -> None:
    schedule = AnnouncementSchedule((0.0, 0.1, 0.3, 1.0))
    schedule.start(ONE, 0.0)
    schedule.due(0.0, 10)
    assert schedule.due(5.0, 10) == [ONE]
    assert schedule.due(5.0, 10) == []


def test_no_more_than_the_limit_go_out_in_one_turn_and_the_rest_in_the_next() -> None:
    schedule = AnnouncementSchedule((0.0,))
    schedule.start(ONE, 0.0)
    schedule.start(TWO, 0.0)
    assert schedule.due(0.0, 1) == [ONE]
    assert schedule.next_due() == 0.0
    assert schedule.due(0.0, 1) == [TWO]


def test_a_bucket_gives_its_rate_and_no_more() -> None:
    bucket = TokenBucket(5)
    assert sum(bucket.take(100.0) for _ in range(50)) == 5
    assert sum(bucket.take(100.0 + n / 100) for n in range(200)) == 9
