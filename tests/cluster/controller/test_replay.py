"""Histories of random steps at the real API server: after each, everyone has what the pure rules say."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from lab.waiting import WaitTimeoutError, wait_for
from tests.cluster.controller.replay import Model, Stage
from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Settle, Tenant
from tests.unit.allocation.histories import NAMESPACES, Restart, Step, histories

LONG = bool(os.environ.get("HERALD_LONG"))

PATIENCE = 20.0
"""Seconds for which the controller may go on to follow one step."""

# What a failure prints can be replayed with `@example`; to shorten it, each attempt takes seconds.
SAMPLE = settings(
    max_examples=100 if LONG else 6,
    derandomize=not LONG,
    database=None,
    phases=(Phase.explicit, Phase.generate, *((Phase.shrink,) if LONG else ())),
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


@contextmanager
def stage(new_tenant: Callable[[], Tenant]) -> Iterator[Stage]:
    """An empty one, emptied again."""
    tenants = {name: new_tenant() for name in NAMESPACES}
    try:
        yield Stage(tenants)
    finally:
        for tenant in tenants.values():
            tenant.leave()


def await_agreement(played: Stage, model: Model) -> None:
    """Return when users see what the model says."""
    expected = model.state()
    try:
        wait_for("the controller to follow", lambda: played.state() == expected, timeout=PATIENCE)
    except WaitTimeoutError as error:
        raise AssertionError(f"seen, not expected:\n{played.state() - expected}") from error


@pytest.mark.timeout(3600 if LONG else 300)
@SAMPLE
@given(histories(10, 15))
def test_a_real_controller_does_what_the_rules_alone_would_do(
    new_tenant: Callable[[], Tenant], all_replicas: Replicas, settle: Settle, history: list[Step]
) -> None:
    all_replicas.only()
    settle()
    model = Model()
    with stage(new_tenant) as played:
        for number, step in enumerate(history):
            note(f"step {number}: {step}")
            if isinstance(step, Restart):
                all_replicas.end(all_replicas.only())
                all_replicas.only()
                model.restart(played.objects()[0])
            else:
                played.act(step)
                model.take_in(*played.objects())
            await_agreement(played, model)
            settle()
            assert not played.state() - model.state()
