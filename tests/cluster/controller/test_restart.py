"""A controller that starts takes over what it finds, and writes nothing that says already what it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab.waiting import wait_for
from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Settle, Tenant
from tests.cluster.controller.timeline import doubles, unrecorded

CROWD = 1_000
OURS = ("services", "serviceaddresses", "addresspools", "events")
FEW = 30
"""More writes than it takes to serve one Service and to let it go, as `settle` does; a fraction of CROWD."""


@pytest.fixture(scope="module")
def crowd(new_tenant: Callable[[], Tenant], all_replicas: Replicas) -> Iterator[Tenant]:
    """CROWD Services of every sort, served and counted: plain, dual-stack, with wishes, sharing; two in vain."""
    tenant = new_tenant()
    tenant.pool("a", "10.79.0.0/22", tenant.range6(1, 0x1000))
    tenant.pool("named", tenant.range4(200, 209), assignment="OnRequest")
    all_replicas.only()
    tenant.await_pool_seen("a", "named")
    sharing = {"heraldlb.io/sharing-key": "one"}
    tenant.service("by-address", annotations={"heraldlb.io/addresses": tenant.ipv4(205)})
    tenant.service("by-pool", annotations={"heraldlb.io/address-pool": tenant.pool_name("named")})
    tenant.service("by-field", loadBalancerIP="10.79.3.9")
    tenant.service("sharing-80", ports=[80], annotations=sharing)
    tenant.service("sharing-443", ports=[443], annotations=sharing)
    served = ["by-address", "by-pool", "by-field", "sharing-80", "sharing-443"]
    tenant.service("in-vain", annotations={"heraldlb.io/addresses": tenant.ipv4(250)})
    tenant.service("nonsense", annotations={"heraldlb.io/addresses": "everything"})
    plain = [f"plain-{number}" for number in range(CROWD - 57)]
    for name in plain:
        tenant.service(name)
    dual = [f"dual-{number}" for number in range(50)]
    for name in dual:
        tenant.service(name, families=["IPv4", "IPv6"])
    tenant.await_assigned(*served, *plain)
    tenant.await_assigned(*dual, count=2)
    tenant.await_condition("in-vain", "False", "AddressNotInAnyPool")
    tenant.await_condition("nonsense", "False", "InvalidRequest")
    count = len(plain) + 2 * len(dual) + 2
    wait_for("all to be counted", lambda: tenant.pool_status("a").get("assigned") == count)
    wait_for("all to be told", lambda: len(tenant.told()) == CROWD)
    yield tenant
    tenant.leave()


@pytest.mark.parametrize("gently", [True, False], ids=["stopped", "killed"])
def test_a_restart_writes_nothing_and_tells_nothing(
    crowd: Tenant, replicas: Replicas, settle: Settle, gently: bool
) -> None:
    first = replicas.only()
    settle()
    before, shown, told = crowd.versions(), crowd.all_shown(), crowd.told()
    assert len(shown) == CROWD
    requests = crowd.api.writes(*OURS)
    replicas.end(first, gently=gently)
    second = replicas.only()
    settle()
    assert f"{crowd.namespace}/" not in second.log.read_text()
    assert crowd.versions() == before
    assert crowd.api.writes(*OURS) - requests < FEW
    assert crowd.all_shown() == shown
    assert crowd.told() == told


def test_a_controller_killed_amid_a_burst_leaves_nothing_half_done(tenant: Tenant, replicas: Replicas) -> None:
    names = [f"web-{number}" for number in range(100)]
    tenant.pool("a", f"10.78.{tenant.number}.0/24")
    since = tenant.api.now()
    killed = replicas.only()
    for name in names[:50]:
        tenant.service(name)
    replicas.end(killed, gently=False)
    for name in names[50:]:
        tenant.service(name)
    tenant.delete(names[0])
    tenant.delete(names[30])

    replicas.only()
    left = [name for name in names if name not in (names[0], names[30])]
    shown = tenant.await_assigned(*left)
    addresses = [address for each in shown.values() for address in each]
    assert len(set(addresses)) == len(left)
    wait_for("records without a Service to go", lambda: sorted(tenant.recorded()) == sorted(addresses))
    services = tenant.service_history(since)
    assert doubles(services) == []
    assert unrecorded(services, tenant.record_history(since)) == []
