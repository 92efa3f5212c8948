"""Each refusal is one reason in condition, Event and metric alike, and its message goes through every pool."""

from __future__ import annotations

import re
import socket
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from heraldlb.api.reasons import Reason
from heraldlb.cli.kubectl.explain.allocation import Decision
from lab.api_server import ApiServer
from lab.waiting import wait_for
from tests.cluster.controller.api import POOLS, Api
from tests.cluster.controller.plugin import Plugin
from tests.cluster.controller.replicas import Replica, Replicas
from tests.cluster.controller.tenant import Tenant

ADDRESSES = "heraldlb.io/addresses"
POOL = "heraldlb.io/address-pool"
KEY = "heraldlb.io/sharing-key"
TEAM = {"matchLabels": {"team": "a"}}

_DECISIONS = re.compile(r'^heraldlb_allocation_decisions_total\{reason="(\w+)"\} (\S+)$', re.MULTILINE)


@pytest.fixture(scope="module")
def metrics_address() -> str:
    """Where the controllers of this module serve their metrics."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def decisions(replicas: Replicas, metrics_address: str) -> Callable[[], Counter[str]]:
    """How often the one controller has told each reason."""
    replicas.only(f"--metrics-address={metrics_address}")

    def scrape() -> Counter[str]:
        with urllib.request.urlopen(f"http://{metrics_address}/metrics", timeout=10) as answer:
            rows = _DECISIONS.findall(answer.read().decode())
        return Counter({reason: int(float(count)) for reason, count in rows})

    return scrape


@pytest.fixture
def tenant(tenant: Tenant, api: Api) -> Iterator[Tenant]:
    """A tenant in a cluster that has no pools but its own."""
    others = api.every(POOLS)
    for pool in others:
        api.delete(POOLS, pool["metadata"]["name"])
    yield tenant
    for pool in others:
        name = {"name": pool["metadata"]["name"]}
        api.create(POOLS, {key: pool[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": name})


def serve_first(tenant: Tenant, **fields: object) -> None:
    """Have a Service `first` in the pool `a`, of which the controller knows."""
    tenant.await_pool_seen("a")
    tenant.service("first", **fields)  # type: ignore[arg-type]
    tenant.await_assigned("first")


def no_pool(tenant: Tenant) -> None:
    tenant.service("web")


def pool_not_found(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.await_pool_seen("a")
    tenant.service("web", annotations={POOL: "absent"})


def pool_paused(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10), assignment="Paused")
    tenant.await_pool_seen("a")
    tenant.service("web")


def pool_on_request_only(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10), assignment="OnRequest")
    tenant.await_pool_seen("a")
    tenant.service("web")


def namespace_not_allowed(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10), namespaces=["elsewhere"])
    tenant.await_pool_seen("a")
    tenant.service("web")


def service_not_selected(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10), serviceSelector=TEAM)
    tenant.await_pool_seen("a")
    tenant.service("web")


def pool_exhausted(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10))
    serve_first(tenant)
    tenant.service("web")


def quota_exceeded(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19), maxPerNamespace=1)
    serve_first(tenant)
    tenant.service("web")


def family_unavailable(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.await_pool_seen("a")
    tenant.service("web", families=["IPv6"])


def address_not_in_any_pool(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.await_pool_seen("a")
    tenant.service("web", annotations={ADDRESSES: tenant.ipv4(99)})


def address_in_use(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    serve_first(tenant)
    tenant.service("web", annotations={ADDRESSES: tenant.ipv4(10)})


def sharing_refused(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    serve_first(tenant, annotations={KEY: "one"})
    tenant.service("web", annotations={KEY: "one", "heraldlb.io/sharing": "Required"})


def invalid_request(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.await_pool_seen("a")
    tenant.service("web", annotations={ADDRESSES: "ten"})


REFUSALS: dict[Reason, Callable[[Tenant], None]] = {
    Reason.NO_POOL: no_pool,
    Reason.POOL_NOT_FOUND: pool_not_found,
    Reason.POOL_PAUSED: pool_paused,
    Reason.POOL_ON_REQUEST_ONLY: pool_on_request_only,
    Reason.NAMESPACE_NOT_ALLOWED: namespace_not_allowed,
    Reason.SERVICE_NOT_SELECTED: service_not_selected,
    Reason.POOL_EXHAUSTED: pool_exhausted,
    Reason.QUOTA_EXCEEDED: quota_exceeded,
    Reason.FAMILY_UNAVAILABLE: family_unavailable,
    Reason.ADDRESS_NOT_IN_ANY_POOL: address_not_in_any_pool,
    Reason.ADDRESS_IN_USE: address_in_use,
    Reason.SHARING_REFUSED: sharing_refused,
    Reason.INVALID_REQUEST: invalid_request,
}


@pytest.mark.parametrize("reason", REFUSALS, ids=str)
def test_a_refusal_is_the_same_reason_in_condition_event_and_metric(
    tenant: Tenant, decisions: Callable[[], Counter[str]], api_server: ApiServer, reason: Reason
) -> None:
    """And so it is where `kubectl herald explain` decides for itself, in the very words of the condition."""
    before = decisions()
    REFUSALS[reason](tenant)
    tenant.await_refused("web", reason)
    [condition] = tenant.get("web")["status"]["conditions"]
    assert condition["type"] == "heraldlb.io/AddressAssigned"
    told = decisions() - before
    served = sum(bool(addresses) for addresses in tenant.all_shown().values())
    assert told == Counter({reason.value: 1} | ({"AddressAssigned": served} if served else {}))
    allocation = Plugin(api_server.kubeconfig).story(tenant.namespace, "web").allocation
    assert allocation.decision == Decision(False, condition["reason"], condition["message"])
    assert allocation.agrees


def test_assignment_and_release_are_counted_by_their_reasons_too(
    tenant: Tenant, decisions: Callable[[], Counter[str]]
) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.await_pool_seen("a")
    before = decisions()
    tenant.service("web")
    tenant.await_event("web", "AddressAssigned")
    tenant.edit("web", type="ClusterIP")
    tenant.await_event("web", "AddressReleased")
    assert decisions() - before == Counter({"AddressAssigned": 1, "AddressReleased": 1})


def test_a_refusal_walks_through_every_pool_in_the_order_in_which_they_are_tried(
    tenant: Tenant, decisions: Callable[[], Counter[str]]
) -> None:
    full = tenant.pool("a", tenant.ipv4(10))
    tenant.await_pool_seen("a")
    tenant.service("first", annotations={POOL: full})
    tenant.await_shown("first", tenant.ipv4(10))
    quota = tenant.pool("b", tenant.range4(20, 29), maxPerNamespace=1)
    tenant.service("second", annotations={POOL: quota})
    tenant.await_shown("second", tenant.ipv4(20))
    expected = [
        (tenant.pool("z", tenant.ipv4(30), assignment="Paused", priority=1), "is paused"),
        (full, "its one IPv4 address is assigned"),
        (quota, f'the namespace "{tenant.namespace}" holds 1 of its addresses'),
        (tenant.pool("c", tenant.ipv4(40), namespaces=["elsewhere"]), "does not serve the namespace"),
        (tenant.pool("d", tenant.ipv4(50), serviceSelector=TEAM), "its serviceSelector does not match"),
        (tenant.pool("e", tenant.range6(10, 19)), "has no IPv4 addresses"),
        (tenant.pool("f", tenant.ipv4(60), assignment="OnRequest", priority=200), "serves only on request"),
    ]
    tenant.await_pool_seen(*"abcdefz")
    tenant.service("web")
    message = tenant.await_refused("web", "PoolExhausted")
    walk = message.removeprefix("no IPv4 address: ").split("; pool ")
    assert len(walk) == len(expected), message
    for part, (pool, why) in zip(walk, expected, strict=True):
        assert part.removeprefix("pool ").startswith(f'"{pool}": {why}'), message


def test_only_what_changes_is_told(tenant: Tenant, controller: Replica) -> None:
    """From refusal to refusal for another reason, to service, to a wish in vain, and back: one Event each."""
    tenant.pool("a", tenant.ipv4(10), assignment="Paused")
    tenant.await_pool_seen("a")
    tenant.service("web")
    tenant.await_refused("web", "PoolPaused")
    tenant.edit_pool("a", assignment="Automatic", serviceSelector=TEAM)
    tenant.await_refused("web", "ServiceNotSelected")
    tenant.label("web", team="a")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.annotate("web", addresses=tenant.ipv4(99))
    tenant.await_condition("web", "False", "AddressNotInAnyPool")
    for number in range(3):
        tenant.annotate("web", note=str(number))
    tenant.annotate("web", addresses=tenant.ipv4(10))
    tenant.await_condition("web", "True", "AddressAssigned")
    wait_for("both assignments", lambda: tenant.await_event("web", "AddressAssigned").get("series"))
    told = [(event["reason"], event.get("series", {}).get("count", 1)) for event in tenant.events("web")]
    assert told == [
        ("PoolPaused", 1),
        ("ServiceNotSelected", 1),
        ("AddressAssigned", 2),
        ("AddressNotInAnyPool", 1),
    ]


def test_why_a_service_waits_is_told_anew_when_it_has_another_reason(tenant: Tenant, controller: Replica) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.await_pool_seen("a")
    tenant.service("both", families=["IPv4", "IPv6"], ipFamilyPolicy="RequireDualStack")
    tenant.await_refused("both", Reason.FAMILY_UNAVAILABLE)
    tenant.service("one")
    tenant.await_shown("one", tenant.ipv4(10))
    assert "its one IPv4 address is assigned" in tenant.await_refused("both", Reason.POOL_EXHAUSTED)
