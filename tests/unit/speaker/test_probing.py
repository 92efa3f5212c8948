"""The trial of an address that nobody has announced yet, on a clock that the test sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import (
    CLAIM_DOUBT,
    LATE_PROBES_AFTER,
    MAX_CONFLICTS,
    PROBE_AFTER,
    PROBE_WAIT,
    RATE_LIMIT_INTERVAL,
    REPROBE_INTERVAL,
)
from heraldlb.speaker.desired import Announceable
from heraldlb.speaker.probing import Probing

ADDRESS, OTHER = IPv4Address("10.0.0.9"), IPv4Address("10.0.0.10")
HOST, AGENT = bytes.fromhex("020000000099"), bytes.fromhex("020000000002")
ROUND = PROBE_AFTER[-1] + PROBE_WAIT
STEP = 0.005
LAST_CLAIM = 30.0


def probing(*addresses: IPAddress) -> Probing:
    """With these addresses under trial since time 0."""
    made = Probing()
    made.apply({address: Announceable(address, probe=True) for address in addresses})
    for address in addresses:
        made.start(address, 0.0)
    return made


@dataclass
class History:
    """What was found, in order."""

    probes: list[float] = field(default_factory=list)
    free: list[float] = field(default_factory=list)
    taken: list[tuple[float, bytes]] = field(default_factory=list)
    relieved: list[float] = field(default_factory=list)

    def run(self, trial: Probing, begin: float, end: float, *claims: tuple[float, bytes]) -> None:
        """Let time pass in steps; claims are made when their time has come."""
        waiting = sorted(claims)
        for number in range(round((end - begin) / STEP)):
            now = begin + number * STEP
            while waiting and waiting[0][0] <= now:
                if ADDRESS in trial:
                    trial.claimed(ADDRESS, waiting[0][1], now)
                waiting.pop(0)
            found = trial.step(now, {AGENT}, 64)
            self.probes += [now] * len(found.probe)
            self.free += [now] * len(found.free)
            self.taken += [(now, mac) for _, mac in found.taken]
            self.relieved += [now] * len(found.relieved)


def test_an_address_that_nobody_claims_is_free_after_three_probes_and_a_tenth_of_a_second() -> None:
    trial, seen = probing(ADDRESS), History()
    seen.run(trial, 0.0, 0.5)
    assert len(seen.probes) == len(PROBE_AFTER) == 3
    [free] = seen.free
    assert ROUND <= free <= ROUND + 4 * STEP
    assert ADDRESS not in trial


def test_a_host_that_was_asleep_is_asked_again_while_the_address_is_announced_and_then_never_more() -> None:
    trial, seen = probing(ADDRESS), History()
    seen.run(trial, 0.0, 200.0)
    [free] = seen.free
    late = [round(at - free, 1) for at in seen.probes[len(PROBE_AFTER) :]]
    assert late == list(LATE_PROBES_AFTER)
    assert trial.next_due() is None


def test_an_address_given_up_is_asked_for_no_more() -> None:
    trial, seen = probing(ADDRESS), History()
    seen.run(trial, 0.0, 0.5)
    assert not trial.stop(ADDRESS)
    seen.run(trial, 0.5, 10.0)
    assert len(seen.probes) == len(PROBE_AFTER)


def test_while_a_host_stays_it_is_asked_less_often() -> None:
    trial = probing(ADDRESS)
    asked = []
    for now in range(600):
        if trial.step(float(now), (), 64).probe:
            asked.append(now)
            trial.claimed(ADDRESS, HOST, float(now))
    pauses = [after - before for before, after in pairwise(asked)]
    assert set(pauses[: MAX_CONFLICTS - 1]) == {REPROBE_INTERVAL + 1}
    assert set(pauses[MAX_CONFLICTS - 1 :]) == {RATE_LIMIT_INTERVAL + 1}


def test_an_address_that_a_host_claims_is_told_of_once_and_not_free_while_the_host_is_there() -> None:
    trial, seen = probing(ADDRESS), History()
    seen.run(trial, 0.0, 60.0, *((0.005 + n * 0.01, HOST) for n in range(6_000)))
    assert [mac for _, mac in seen.taken] == [HOST]
    assert seen.taken[0][0] < 1
    assert seen.free == []


def test_it_is_probed_anew_until_the_host_is_gone() -> None:
    trial, seen = probing(ADDRESS), History()
    seen.run(trial, 0.0, 60.0, (0.01, HOST), (REPROBE_INTERVAL + 0.5, HOST))
    assert len(seen.taken) == 1
    [free] = seen.free
    assert seen.relieved == [free]
    assert REPROBE_INTERVAL < free <= 2 * (REPROBE_INTERVAL + 1)


def test_another_host_that_has_it_then_is_told_of() -> None:
    trial, seen = probing(ADDRESS), History()
    seen.run(trial, 0.0, 1.5 * REPROBE_INTERVAL, (0.01, HOST), (REPROBE_INTERVAL, b"other!"))
    assert [mac for _, mac in seen.taken] == [HOST, b"other!"]


def test_who_turns_out_to_be_an_agent_takes_nothing() -> None:
    trial, seen = probing(ADDRESS), History()
    seen.run(trial, 0.0, 2.0, (0.01, AGENT))
    assert seen.taken == []
    assert seen.relieved == []
    assert len(seen.free) == 1


def test_no_more_probes_go_out_after_a_claim() -> None:
    trial, seen = probing(ADDRESS), History()
    seen.run(trial, 0.0, REPROBE_INTERVAL, (0.01, HOST))
    assert len(seen.probes) == 1


def test_each_address_waits_for_answers_to_its_own_probes_however_many_there_are() -> None:
    many = [IPv4Address("10.1.0.0") + n for n in range(200)]
    trial = probing(*many)
    last: dict[IPAddress, float] = {}
    now, free = 0.0, 0
    while free < len(many):
        found = trial.step(now, (), 10)
        assert len(found.probe) <= 10
        last |= dict.fromkeys(found.probe, now)
        assert all(now - last[address] >= PROBE_WAIT - 1e-9 for address in found.free)
        free += len(found.free)
        now += 0.001


def test_only_what_nobody_has_announced_needs_a_trial() -> None:
    trial = Probing()
    trial.apply({ADDRESS: Announceable(ADDRESS, probe=True), OTHER: Announceable(OTHER)})
    assert trial.needs(ADDRESS)
    assert not trial.needs(OTHER)
    trial.prove(ADDRESS)
    assert not trial.needs(ADDRESS)


def test_what_was_found_free_needs_no_other_trial_until_it_is_released_and_given_anew() -> None:
    trial, seen = probing(ADDRESS), History()
    seen.run(trial, 0.0, 1.0)
    assert not trial.needs(ADDRESS)
    trial.apply({})
    trial.apply({ADDRESS: Announceable(ADDRESS, probe=True)})
    assert trial.needs(ADDRESS)


def test_a_trial_that_was_stopped_says_whether_a_conflict_ends_and_nothing_more() -> None:
    trial, seen = probing(ADDRESS), History()
    seen.run(trial, 0.0, CLAIM_DOUBT / 2, (0.01, HOST))
    assert not trial.stop(ADDRESS)
    trial.start(ADDRESS, 1.0)
    seen.run(trial, 1.0, 2.0, (1.01, HOST))
    assert trial.stop(ADDRESS)
    before = len(seen.probes)
    seen.run(trial, 2.0, 40.0)
    assert len(seen.probes) == before


@settings(max_examples=20)
@example([(float(second), HOST) for second in range(MAX_CONFLICTS)])
@given(st.lists(st.tuples(st.floats(0, LAST_CLAIM), st.sampled_from([HOST, b"other!"])), max_size=12))
def test_whatever_hosts_do_an_address_is_free_only_after_a_whole_quiet_round(
    claims: list[tuple[float, bytes]],
) -> None:
    trial, seen = probing(ADDRESS), History()
    seen.run(trial, 0.0, LAST_CLAIM + RATE_LIMIT_INTERVAL + 1.0, *claims)
    [free] = seen.free
    assert not [at for at, _ in claims if free - ROUND < at < free - STEP]
    assert (seen.relieved == [free]) == bool(seen.taken)
