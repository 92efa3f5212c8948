"""How addresses came to a node, counted."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.tally import Tally
from heraldlb.api.objects import NamespacedName
from heraldlb.api.serviceaddress import ServiceAddress
from heraldlb.kube.mirror import Change
from heraldlb.speaker.changes import Announcing, Conflict, Withdrawn

ADDRESS = ip_address("10.0.0.1")
HERE = Announcing(ADDRESS, "eth0", "02:00:00:00:00:01", 0.0)


def cluster(node: str = "") -> Cluster:
    made = Cluster()
    body: dict[str, Any] = {
        "metadata": {"name": str(ADDRESS), "resourceVersion": "1"},
        "spec": {"address": str(ADDRESS), "addressPool": "lan", "services": []},
        "status": {"node": node},
    }
    made.records.observe("ADDED", body)
    return made


def counted(tally: Tally) -> tuple[int, int]:
    return tally.failovers, tally.handovers


def test_an_address_that_nobody_had_before_is_neither() -> None:
    tally = Tally(cluster(), "n1")
    tally.take(HERE)
    assert counted(tally) == (0, 0)


def test_taking_over_from_a_lost_node_is_a_failover_and_from_another_a_handover() -> None:
    found = cluster("n2")
    tally = Tally(found, "n1")
    tally.take(HERE)
    assert counted(tally) == (0, 1)
    found.lost = frozenset({"n2"})
    tally = Tally(found, "n1")
    tally.take(HERE)
    assert counted(tally) == (1, 0)


def test_another_interface_of_this_node_and_its_own_restart_move_nothing() -> None:
    tally = Tally(cluster("n1"), "n1")
    tally.take(HERE)
    tally.take(HERE)
    assert counted(tally) == (0, 0)


def test_what_this_node_saw_go_counts_more_than_a_status_that_is_behind() -> None:
    found = cluster("n1")
    tally = Tally(found, "n1")
    tally.take(HERE)
    tally.take(Withdrawn(ADDRESS, "n3"))
    found.lost = frozenset({"n3"})
    tally.take(HERE)
    assert counted(tally) == (1, 0)


def test_strangers_are_counted() -> None:
    tally = Tally(cluster(), "n1")
    tally.take(Conflict(ADDRESS, "02:00:00:00:00:99", "eth0"))
    assert tally.conflicts == 1


def durations(tally: Tally) -> tuple[float, float]:
    """How many, and their sum in seconds."""
    [metric] = tally.durations.collect()
    values = {sample.name.rpartition("_")[2]: sample.value for sample in metric.samples}
    return values["count"], values["sum"]


def given(found: Cluster) -> Change[ServiceAddress]:
    return Change(NamespacedName("", str(ADDRESS)), None, found.record(ADDRESS))


def test_the_first_announcement_is_timed_from_when_the_address_was_given() -> None:
    found = cluster()
    tally = Tally(found, "n1")
    tally.record_changed(given(found), 100.0)
    tally.take(replace(HERE, since=100.25))
    tally.take(Withdrawn(ADDRESS, None))
    tally.take(replace(HERE, since=200.0))
    assert durations(tally) == (1, 0.25)


def test_an_address_that_another_node_announced_first_is_not_timed() -> None:
    found = cluster()
    tally = Tally(found, "n1")
    tally.record_changed(given(found), 100.0)
    change = given(cluster("n2"))
    tally.record_changed(replace(change, before=found.record(ADDRESS)), 101.0)
    tally.take(replace(HERE, since=150.0))
    assert durations(tally) == (0, 0)
