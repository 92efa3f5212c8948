"""The log has a line for each decision, and none for a look at what is as it should be."""

from __future__ import annotations

from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Settle, Tenant

NAMES = [f"web-{number}" for number in range(100)]


def test_each_decision_is_a_line_and_neither_a_restart_nor_a_visit_that_changes_nothing_is(
    tenant: Tenant, replicas: Replicas, settle: Settle
) -> None:
    first = replicas.only()
    tenant.pool("a", tenant.range4(1, 120))
    for name in NAMES:
        tenant.service(name)
    tenant.await_assigned(*NAMES)
    settle()
    said = first.log.read_text()
    for name in NAMES:
        assert said.count(f"{tenant.namespace}/{name}: AddressAssigned: ") == 1

    replicas.end(first)
    second = replicas.only()
    for name in NAMES:
        tenant.label(name, seen="yes")
    tenant.label_namespace(seen="yes")
    settle()
    assert f"{tenant.namespace}/" not in second.log.read_text()

    tenant.delete(NAMES[0])
    settle()
    said = second.log.read_text()
    assert (
        said.count(f"{tenant.namespace}/") == said.count(f"{tenant.namespace}/{NAMES[0]}: AddressReleased: ") == 1
    )
