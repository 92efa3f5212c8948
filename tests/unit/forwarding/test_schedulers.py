"""What annotations and labels ask for, and what is said to those that cannot be followed."""

from __future__ import annotations

import pytest

from heraldlb.api.group import NODE_WEIGHTS_ANNOTATION, SCHEDULER_ANNOTATION, WEIGHT_LABEL
from heraldlb.api.reasons import Reason
from heraldlb.forwarding.schedulers import (
    UNAVAILABLE,
    Scheduler,
    SchedulingError,
    Wishes,
    labelled_weight,
    scheduler_named,
    wishes_of,
)
from tests.unit.forwarding.builders import service


def wishes(scheduler: str | None = None, weights: str | None = None) -> Wishes:
    written = {SCHEDULER_ANNOTATION: scheduler, NODE_WEIGHTS_ANNOTATION: weights}
    return wishes_of(service(annotations={name: text for name, text in written.items() if text is not None}))


@pytest.mark.parametrize("scheduler", Scheduler)
def test_every_scheduler_is_asked_for_by_its_name_however_it_is_written(scheduler: Scheduler) -> None:
    assert wishes(scheduler.value).scheduler is scheduler
    assert wishes(f" {scheduler.value.upper()} ").scheduler is scheduler


def test_maglev_has_its_name_in_ipvs_too() -> None:
    assert wishes("mh") == wishes("maglev")


def test_who_asks_for_nothing_gets_the_default_without_an_objection() -> None:
    assert wishes() == wishes("", "") == Wishes()


@pytest.mark.parametrize("name", ["fastest", *UNAVAILABLE])
def test_what_cannot_be_done_is_refused_by_name_with_a_scheduler_that_can(name: str) -> None:
    (objection,) = wishes(name).objections
    assert objection.reason is Reason.SCHEDULER_REFUSED
    assert objection.message.startswith(f'{SCHEDULER_ANNOTATION}: "{name}" ')
    _, _, advice = objection.message.partition("write ")
    assert scheduler_named(advice.removeprefix("one of ").split()[0].strip(","))
    assert wishes(name).scheduler is None


def test_weights_are_by_node_and_a_bad_one_counts_as_1_and_harms_no_other() -> None:
    asked = wishes("wrr", " a = 3,b=0,, c=x,d=101,e,")
    assert asked.weights == {"a": 3, "b": 0, "c": 1, "d": 1, "e": 1}
    assert asked.scheduler is Scheduler.WEIGHTED_ROUND_ROBIN
    (objection,) = asked.objections
    assert objection.reason is Reason.INVALID_WEIGHT
    assert '"c=x" is not NODE=WEIGHT with a weight from 0 to 100' in objection.message
    assert objection.message.endswith("it counts as 1, and so do 2 more")


def test_a_node_weighs_what_its_label_says_or_else_1() -> None:
    assert labelled_weight({}) == 1
    assert labelled_weight({WEIGHT_LABEL: "40"}) == 40
    for text in ("", "-1", "1.5", "١", "1000"):
        with pytest.raises(SchedulingError, match="write a number from 0 to 100"):
            labelled_weight({WEIGHT_LABEL: text})


def test_a_long_text_is_not_quoted_whole() -> None:
    (objection,) = wishes("x" * 10_000).objections
    assert len(objection.message) < 300
