"""A Service shows an address only while it is recorded for it: record first, status second, and back in reverse."""

from __future__ import annotations

import pytest

from tests.cluster.controller.tenant import Tenant, shown_by
from tests.cluster.controller.timeline import unrecorded

pytestmark = pytest.mark.usefixtures("controller")


def test_the_record_is_written_before_the_service_shows_the_address(tenant: Tenant) -> None:
    since = tenant.api.now()
    tenant.pool("a", tenant.range4(10, 29))
    names = [f"web-{number}" for number in range(20)]
    for name in names:
        tenant.service(name)
    tenant.await_assigned(*names)
    services, records = tenant.service_history(since), tenant.record_history(since)
    assert {change.name for change in services if shown_by(change.object)} == set(names)
    assert unrecorded(services, records) == []


def test_the_service_stops_showing_the_address_before_the_record_goes(tenant: Tenant) -> None:
    since = tenant.api.now()
    tenant.pool("a", tenant.ipv4(10))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.delete_pool("a")
    tenant.await_no_record(tenant.ipv4(10))
    services, records = tenant.service_history(since), tenant.record_history(since)
    assert shown_by(services[-1].object) == []
    assert records[-1].type == "DELETED"
    assert unrecorded(services, records) == []


def test_a_replacement_is_recorded_before_it_is_shown_and_shown_before_the_former_goes(tenant: Tenant) -> None:
    since = tenant.api.now()
    tenant.pool("a", tenant.ipv4(10))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.edit_pool("a", addresses=[tenant.ipv4(20)])
    tenant.await_no_record(tenant.ipv4(10))
    services, records = tenant.service_history(since), tenant.record_history(since)
    assert unrecorded(services, records) == []
    shown = [shown_by(change.object) for change in services]
    served = shown[shown.index([tenant.ipv4(10)]) :]
    assert all(served), "it was without an address in between"
    assert served[-1] == [tenant.ipv4(20)]
