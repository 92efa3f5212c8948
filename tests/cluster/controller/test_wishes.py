"""Every way to ask for an address or a pool, alone and together, and what is said where they contradict."""

from __future__ import annotations

import itertools

from heraldlb.api.group import ADDRESS_POOL_ALIASES, ADDRESSES_ALIASES, SHARING_KEY_ALIASES
from tests.cluster.controller.replicas import Replica, Replicas
from tests.cluster.controller.tenant import Settle, Tenant

ADDRESSES = "heraldlb.io/addresses"
POOL = "heraldlb.io/address-pool"
DUAL = ("IPv4", "IPv6")


def test_addresses_of_both_families_are_had_from_two_pools(tenant: Tenant, controller: Replica) -> None:
    four = tenant.pool("four", tenant.range4(10, 19))
    six = tenant.pool("six", tenant.range6(10, 19))
    wish = {ADDRESSES: f"{tenant.ipv6(16)},{tenant.ipv4(15)}"}
    tenant.service("web", families=DUAL, annotations=wish)
    tenant.await_shown("web", tenant.ipv4(15), tenant.ipv6(16))
    message = tenant.await_condition("web", "True", "AddressAssigned")["message"]
    assert message == f'{tenant.ipv4(15)} from pool "{four}", {tenant.ipv6(16)} from pool "{six}"'


def test_a_dual_stack_service_that_names_one_address_gets_the_other_family_by_choice(
    tenant: Tenant, controller: Replica
) -> None:
    tenant.pool("a", tenant.range4(10, 19), tenant.range6(10, 19))
    tenant.service("web", families=DUAL, annotations={ADDRESSES: tenant.ipv6(16)})
    tenant.await_shown("web", tenant.ipv4(10), tenant.ipv6(16))


def test_every_alias_is_heard(tenant: Tenant, controller: Replica) -> None:
    tenant.pool("a", tenant.range4(10, 49))
    on_request = tenant.pool("b", tenant.range4(50, 59), assignment="OnRequest")
    hosts = itertools.count(20)
    for number, (alias, host) in enumerate(zip(ADDRESSES_ALIASES, hosts, strict=False)):
        tenant.service(f"by-address-{number}", annotations={alias: tenant.ipv4(host)})
        tenant.await_shown(f"by-address-{number}", tenant.ipv4(host))
    for number, alias in enumerate(ADDRESS_POOL_ALIASES):
        tenant.service(f"by-pool-{number}", annotations={alias: on_request})
        tenant.await_shown(f"by-pool-{number}", tenant.ipv4(50 + number))
    for number, alias in enumerate(SHARING_KEY_ALIASES):
        tenant.service(f"shares-{number}", annotations={alias: "one"}, ports=[8000 + number])
        tenant.await_shown(f"shares-{number}", tenant.ipv4(10))


def test_aliases_that_are_switched_off_are_as_good_as_not_there(tenant: Tenant, replicas: Replicas) -> None:
    replicas.only("--no-annotation-aliases")
    tenant.pool("a", tenant.range4(10, 49))
    tenant.pool("b", tenant.range4(50, 59))
    wishes = [
        *({alias: tenant.ipv4(30)} for alias in ADDRESSES_ALIASES),
        *({alias: tenant.pool_name("b")} for alias in ADDRESS_POOL_ALIASES),
        *({alias: "one"} for alias in SHARING_KEY_ALIASES),
    ]
    for number, wish in enumerate(wishes):
        tenant.service(f"web-{number}", annotations=wish)
        tenant.await_shown(f"web-{number}", tenant.ipv4(10 + number))
    tenant.service("ours", annotations={ADDRESSES: tenant.ipv4(30), "metallb.io/loadBalancerIPs": tenant.ipv4(31)})
    tenant.await_shown("ours", tenant.ipv4(30))


def test_wishes_that_say_the_same_are_one_wish(tenant: Tenant, controller: Replica) -> None:
    pool = tenant.pool("a", tenant.range4(10, 19))
    wish = {ADDRESSES: tenant.ipv4(15), "lbipam.cilium.io/ips": tenant.ipv4(15), POOL: pool}
    tenant.service("web", annotations=wish, loadBalancerIP=tenant.ipv4(15))
    tenant.await_shown("web", tenant.ipv4(15))


def test_wishes_that_contradict_each_other_get_nothing_and_are_named(
    tenant: Tenant, controller: Replica, settle: Settle
) -> None:
    pool = tenant.pool("a", tenant.range4(10, 19), tenant.range6(10, 19))
    tenant.pool("b", tenant.range4(30, 39))
    tenant.service("field", annotations={ADDRESSES: tenant.ipv4(15)}, loadBalancerIP=tenant.ipv4(16))
    tenant.service("alias", annotations={ADDRESSES: tenant.ipv4(15), "lbipam.cilium.io/ips": tenant.ipv4(16)})
    tenant.service("twice", annotations={ADDRESSES: f"{tenant.ipv4(15)},{tenant.ipv4(16)}"})
    tenant.service("family", annotations={ADDRESSES: tenant.ipv6(15)})
    tenant.service("elsewhere", annotations={ADDRESSES: tenant.ipv4(35), POOL: pool})
    for name, parts in {
        "field": ("spec.loadBalancerIP", ADDRESSES, tenant.ipv4(15), tenant.ipv4(16)),
        "alias": ("lbipam.cilium.io/ips", ADDRESSES, tenant.ipv4(15), tenant.ipv4(16)),
        "twice": (ADDRESSES, "2 IPv4 addresses"),
        "family": (ADDRESSES, tenant.ipv6(15), "no IPv6"),
        "elsewhere": (tenant.ipv4(35), pool, "does not contain it"),
    }.items():
        message = tenant.await_refused(name, "InvalidRequest")
        assert all(part in message for part in parts), message
    settle()
    assert tenant.recorded() == []


def test_a_contradiction_resolved_by_a_pool_edit_is_served(tenant: Tenant, controller: Replica) -> None:
    pool = tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web", annotations={ADDRESSES: tenant.ipv4(35), POOL: pool})
    tenant.await_refused("web", "InvalidRequest")
    tenant.edit_pool("a", addresses=[tenant.range4(10, 19), tenant.range4(30, 39)])
    tenant.await_shown("web", tenant.ipv4(35))


def test_a_pool_that_is_asked_for_before_it_exists_serves_when_it_comes(
    tenant: Tenant, controller: Replica
) -> None:
    other = tenant.pool("a", tenant.range4(10, 19))
    wanted = tenant.pool_name("b")
    tenant.service("web", annotations={POOL: wanted})
    message = tenant.await_refused("web", "PoolNotFound")
    assert f'there is no pool "{wanted}"' in message
    assert other in message
    tenant.pool("b", tenant.range4(30, 39))
    tenant.await_shown("web", tenant.ipv4(30))


def test_a_wished_pool_that_is_full_is_not_replaced_by_another(tenant: Tenant, controller: Replica) -> None:
    pool = tenant.pool("a", tenant.ipv4(10))
    tenant.pool("b", tenant.range4(30, 39))
    tenant.service("first", annotations={POOL: pool})
    tenant.await_shown("first", tenant.ipv4(10))
    tenant.service("web", annotations={POOL: pool})
    assert tenant.pool_name("b") not in tenant.await_refused("web", "PoolExhausted")
    tenant.annotate("web", address_pool=None)
    tenant.await_shown("web", tenant.ipv4(30))
