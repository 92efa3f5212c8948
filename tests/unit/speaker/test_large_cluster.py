"""Who owns what in a cluster too large for a full mesh."""

from __future__ import annotations

import pytest

from heraldlb.speaker.constants import FAILURE_TIMEOUT, FULL_MESH_NODES, HEARTBEAT_INTERVAL
from tests.unit.speaker.simulation import ADDRESSES, Cluster, settled

NAMES = tuple(f"node-{number}" for number in range(FULL_MESH_NODES + 2))
SETTLED = 2.0


@pytest.fixture
def cluster() -> Cluster:
    return settled(*NAMES, seconds=SETTLED)


def test_addresses_of_a_dead_node_move_within_the_timeout(cluster: Cluster) -> None:
    (dead,) = cluster.owners(ADDRESSES[0])
    cluster.kill(dead)
    cluster.run(FAILURE_TIMEOUT + HEARTBEAT_INTERVAL)
    assert cluster.everything_owned_once()


def test_each_side_of_a_partition_serves_everything_and_a_heal_leaves_one_owner(cluster: Cluster) -> None:
    side, others = NAMES[:4], NAMES[4:]
    cluster.isolate(*side)
    cluster.run(SETTLED)
    assert cluster.everything_owned_once(side)
    assert cluster.everything_owned_once(others)
    cluster.heal()
    cluster.run(FAILURE_TIMEOUT)
    assert cluster.everything_owned_once()


def test_a_leaving_node_hands_over_to_nodes_that_it_did_not_hear_without_a_gap(cluster: Cluster) -> None:
    (leaver,) = cluster.owners(ADDRESSES[0])
    cluster.leave(leaver)
    for _ in cluster.steps(0.5):
        assert all(cluster.owners(address) for address in ADDRESSES)
    assert not cluster.nodes[leaver].owned
    assert cluster.everything_owned_once(set(NAMES) - {leaver})
