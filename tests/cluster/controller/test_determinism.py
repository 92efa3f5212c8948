"""Same objects, same outcome: in whatever order pools appear, and whichever controller decides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.waiting import wait_for
from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Settle, Tenant, next_second

POOL = "heraldlb.io/address-pool"
KEY = {"heraldlb.io/sharing-key": "one"}
ORDERS = [(0, 1, 2), (2, 1, 0), (1, 2, 0)]
NAMES = [f"web-{number:02}" for number in range(14)]


def create_pools(tenant: Tenant, order: tuple[int, ...]) -> None:
    """Three pools, of which two overlap and one comes first by priority, in some order."""
    pools = [
        lambda: tenant.pool("a", tenant.range4(10, 13), tenant.range6(10, 12), maxPerNamespace=6),
        lambda: tenant.pool("b", tenant.range4(12, 17), tenant.range6(12, 14), excluded=[tenant.ipv4(15)]),
        lambda: tenant.pool("c", tenant.ipv4(30), serviceSelector={"matchLabels": {"team": "a"}}, priority=1),
    ]
    for index in order:
        pools[index]()


def create_services(tenant: Tenant) -> None:
    """Services of every sort that want more than there is."""
    for name in NAMES[:3]:
        tenant.service(name, families=["IPv4", "IPv6"], ipFamilyPolicy="PreferDualStack")
    tenant.service(NAMES[3], labels={"team": "a"})
    tenant.service(NAMES[4], annotations={"heraldlb.io/addresses": tenant.ipv4(11)})
    tenant.service(NAMES[5], annotations={POOL: tenant.pool_name("b")})
    next_second(tenant.service(NAMES[6], families=["IPv6", "IPv4"]))
    tenant.service(NAMES[7], ports=[80], annotations=KEY)
    tenant.service(NAMES[8], ports=[443], annotations=KEY)
    tenant.service(NAMES[9], ports=[443], annotations=KEY)
    for name in reversed(NAMES[10:]):
        tenant.service(name)


def explained(tenant: Tenant) -> dict[str, tuple[list[str], str, str]]:
    """What each Service shows, its reason and its message."""
    conditions = {name: tenant.condition(name) for name in NAMES}
    return {name: (tenant.shown(name), seen["reason"], seen["message"]) for name, seen in conditions.items()}


def test_the_order_in_which_pools_appear_before_a_start_does_not_matter(
    tenant: Tenant, replicas: Replicas, settle: Settle
) -> None:
    create_services(tenant)
    outcomes = []
    for order in ORDERS:
        replicas.end_all()
        create_pools(tenant, order)
        replicas.only()
        settle()
        outcomes.append(explained(tenant))
        for name in "abc":
            tenant.delete_pool(name)
        wait_for("all to be without an address", lambda: not tenant.recorded())
        tenant.pools.clear()
    assert any(addresses for addresses, _, _ in outcomes[0].values())
    assert any(not addresses for addresses, _, _ in outcomes[0].values())
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_pools_that_do_not_compete_may_appear_in_any_order_while_services_wait(
    tenant: Tenant, replicas: Replicas, settle: Settle, order: tuple[int, ...]
) -> None:
    replicas.only()
    for number in range(4):
        tenant.service(f"dual-{number}", families=["IPv6", "IPv4"], ipFamilyPolicy="PreferDualStack")
        tenant.service(f"team-{number}", annotations={POOL: tenant.pool_name("c")})
    settle()
    pools: list[Callable[[], str]] = [
        lambda: tenant.pool("a", tenant.range4(10, 12)),
        lambda: tenant.pool("b", tenant.range6(10, 13)),
        lambda: tenant.pool("c", tenant.range4(30, 32), assignment="OnRequest"),
    ]
    for index in order:
        pools[index]()
        tenant.await_pool_seen("abc"[index])
    settle()
    assert tenant.all_shown() == {
        "dual-0": [tenant.ipv6(10), tenant.ipv4(10)],
        "dual-1": [tenant.ipv6(11), tenant.ipv4(11)],
        "dual-2": [tenant.ipv6(12), tenant.ipv4(12)],
        "dual-3": [tenant.ipv6(13)],
        "team-0": [tenant.ipv4(30)],
        "team-1": [tenant.ipv4(31)],
        "team-2": [tenant.ipv4(32)],
        "team-3": [],
    }
