"""Planned changes, while a client opens a connection every 5 ms: how many of them are lost."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks.rows import Row
from benchmarks.speaker.shop import POOL
from lab.probing import PATIENCE as ATTEMPT_PATIENCE
from lab.probing import asking
from lab.waiting import WaitTimeoutError, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from benchmarks.speaker.shop import Shop
    from lab.progress import Progress

_INTERVAL: Final = 0.005
_EXCLUDE: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
_POLICY: Final = "benchmark"
_OTHER_POOL: Final = "other"
_MOVE_PATIENCE: Final = 15.0
"""Seconds in which a change moves addresses, if it does."""
_CALM: Final = 2.0
"""Seconds for which the client goes on asking before and after a change."""
_ROLLOUT_PATIENCE: Final = 90.0


@dataclass(frozen=True, slots=True)
class Change:
    """One planned change there and back."""

    cause: str
    node: str
    moved: bool
    """Whether another node announced both addresses meanwhile, as their statuses say."""
    connections: int
    lost: int
    """Not answered within half a second, or refused."""


@contextmanager
def _sigterm(shop: Shop, node: str) -> Iterator[None]:
    """The agent's pod is deleted; there is another when this is over."""
    old = shop.agent_pod(node)
    shop.lab.kubectl("delete", "pod", old, "-n", "kube-system", "--wait=false")
    yield
    wait_for("another agent", lambda: old not in shop.agents(), _ROLLOUT_PATIENCE)
    shop.lab.wait_for_rollout("daemonset/heraldlb-agent", "kube-system", _ROLLOUT_PATIENCE)


@contextmanager
def _cordon(shop: Shop, node: str) -> Iterator[None]:
    shop.lab.kubectl("cordon", node)
    yield
    shop.lab.kubectl("uncordon", node)


@contextmanager
def _label(shop: Shop, node: str) -> Iterator[None]:
    shop.lab.kubectl("label", "node", node, f"{_EXCLUDE}=")
    yield
    shop.lab.kubectl("label", "node", node, f"{_EXCLUDE}-")


@contextmanager
def _policy(shop: Shop, node: str) -> Iterator[None]:
    shop.lab.apply(_announcement(_POLICY, [each for each in shop.lab.nodes if each != node]))
    yield
    shop.lab.apply(_announcement(_POLICY, list(shop.lab.nodes)))


@contextmanager
def _pool(shop: Shop, node: str) -> Iterator[None]:
    """The addresses become another pool's, which is announced from other nodes, and then the first one's again."""
    others = [each for each in shop.lab.nodes if each != node]
    announced = [each for each in shop.addresses if shop.owners().get(each) == node]
    shop.lab.apply(
        _announcement(_POLICY, list(shop.lab.nodes), POOL["metadata"]["name"]),
        _announcement(_OTHER_POOL, others, _OTHER_POOL),
    )
    shop.lab.apply(
        {
            **POOL,
            "metadata": {"name": _OTHER_POOL},
            "spec": {"addresses": announced, "priority": 1, "assignment": "Paused"},
        }
    )
    yield
    shop.lab.kubectl("delete", "addresspool", _OTHER_POOL)
    shop.lab.kubectl("delete", "l2announcement", _OTHER_POOL)
    shop.lab.apply(_announcement(_POLICY, list(shop.lab.nodes)))


def _announcement(name: str, nodes: list[str], *pools: str) -> dict[str, Any]:
    hostnames = {"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}
    return {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "L2Announcement",
        "metadata": {"name": name},
        "spec": {"addressPools": list(pools), "nodeSelector": {"matchExpressions": [hostnames]}},
    }


CAUSES: Final[dict[str, Callable[[Shop, str], AbstractContextManager[None]]]] = {
    "sigterm": _sigterm,
    "cordon": _cordon,
    "label": _label,
    "policy": _policy,
    "pool": _pool,
}


def run(shop: Shop, trials: int, progress: Progress, causes: Sequence[str] = tuple(CAUSES)) -> list[Change]:
    """So many of each cause. Raises LabError."""
    found = []
    changed = dict.fromkeys(shop.lab.nodes, 0)
    for cause in [*causes] * trials:
        change = _change(shop, cause, sorted(changed, key=changed.__getitem__))
        changed[change.node] += 1
        progress(f"handover: {cause} on {change.node}: {change.lost} of {change.connections} connections lost")
        found.append(change)
    return found


def _change(shop: Shop, cause: str, nodes: Sequence[str]) -> Change:
    node, addresses = shop.pair(nodes)

    def moved() -> bool:
        owners = shop.owners()
        return all(owners.get(each, node) != node for each in addresses)

    with asking(shop.lab.client, addresses, interval=_INTERVAL) as prober:
        time.sleep(_CALM)
        begun = time.monotonic()
        with CAUSES[cause](shop, node):
            has_moved = _comes_true(moved)
            time.sleep(_CALM)
        time.sleep(_CALM)
        until = time.monotonic()
        # What was begun at the end is given up by then.
        time.sleep(2 * ATTEMPT_PATIENCE)
        attempts = [
            attempt
            for each in addresses
            for attempt in list(prober.attempts[each])
            if begun <= attempt.begun < until
        ]
    return Change(cause, node, has_moved, len(attempts), sum(not attempt.answered for attempt in attempts))


def _comes_true(condition: Callable[[], bool]) -> bool:
    try:
        return wait_for("the addresses to move", condition, _MOVE_PATIENCE)
    except WaitTimeoutError:
        return False


def rows(changes: Sequence[Change]) -> list[Row]:
    """Pure."""
    by_cause = {each.cause: 0 for each in changes}
    for change in changes:
        by_cause[change.cause] += change.lost
    return [
        Row("handover.lost_connections", sum(by_cause.values()), "", 0.0),
        *(Row(f"handover.{cause}.lost_connections", lost, "", 0.0) for cause, lost in by_cause.items()),
        Row("handover.connections", sum(change.connections for change in changes), ""),
    ]


def samples(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """As they are stored."""
    return [asdict(change) for change in changes]
