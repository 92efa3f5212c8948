"""Records that the acting controller has not written, as a replica writes them that believes to act as well."""

from __future__ import annotations

import pytest

from tests.cluster.controller.tenant import Settle, Tenant

pytestmark = pytest.mark.usefixtures("controller")


def test_an_address_that_another_has_recorded_is_not_given_to_a_second_service(
    tenant: Tenant, settle: Settle
) -> None:
    tenant.pool("a", tenant.range4(10, 11))
    tenant.service("theirs", annotations={"heraldlb.io/address-pool": "absent"})
    tenant.await_condition("theirs", "False", "PoolNotFound")
    settle()
    tenant.write_record(tenant.ipv4(10), "a", "theirs")
    settle()
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(11))
    assert tenant.holders(tenant.ipv4(10)) == ["theirs"]


def test_a_record_for_nobody_is_cleaned_up_and_its_address_given(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.service("gone", annotations={"heraldlb.io/address-pool": "absent"})
    tenant.write_record(tenant.ipv4(10), "a", "gone")
    tenant.delete("gone")
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    assert tenant.holders(tenant.ipv4(10)) == ["web"]
