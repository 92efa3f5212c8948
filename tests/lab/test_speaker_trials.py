"""The trials of the benchmark `speaker`, a few of them: that they can be made, not what comes of them."""

from __future__ import annotations

import pytest

from benchmarks.speaker import failover, latency
from benchmarks.speaker.causes import CAUSES
from benchmarks.speaker.testbed import Testbed
from lab.processes import network_namespaces
from lab.progress import silent


def test_a_failure_of_each_cause_and_a_partition_are_seen_by_those_who_ask() -> None:
    trials = failover.run(tuple(CAUSES), 1, 1, silent)
    assert [trial.cause for trial in trials] == [*CAUSES, "partition"]
    for trial in trials[:-1]:
        # No failure is noticed at once: a failover that took no time was none.
        assert all(trial.asked_ms[family] > 10 for family in ("ipv4", "ipv6")), trial
        assert all(trial.failover_ms(family) >= trial.asked_ms[family] for family in ("ipv4", "ipv6")), trial
    assert all(row.value >= 0 for row in failover.rows(trials))


def test_a_site_leaves_nothing_behind_not_even_after_an_error() -> None:
    bed = Testbed()
    processes = []

    def use() -> None:
        with bed:
            processes.extend(each for node in bed.nodes for each in bed.processes(node))
            assert all(process.is_alive() for process in processes)
            bed.process("no such")

    with pytest.raises(KeyError):
        use()
    assert not any(process.is_alive() for process in processes)
    assert network_namespaces(f"hl-{bed.folder.name}-") == {}
    assert not bed.folder.exists()


def test_every_subject_of_arp_answers_every_question_also_among_others_broadcasts() -> None:
    with latency.Rig((latency.KERNEL, latency.BARE, latency.ONE), settling=0.0) as rig:
        for subject in rig.subjects:
            assert max(rig.measure(subject, 50)) < latency.GIVEN_UP
        flood = rig.flood(latency.ONE)
        try:
            taken = rig.measure(latency.ONE, 200)
        finally:
            flood.kill()
    assert sum(each < latency.GIVEN_UP for each in taken) > 100
