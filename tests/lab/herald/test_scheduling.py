"""Schedulers and weights as users ask for them, and what they are told when they ask for too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.waiting import wait_for

if TYPE_CHECKING:
    from lab.lab import Lab
    from tests.lab.herald.product import Product

BAD_LABEL = ("label", "--overwrite", "node", "node-1", "heraldlb.io/weight=heavy")
PODS = 3


def _node_events(lab: Lab, node: str) -> list[str]:
    selector = f"--field-selector=involvedObject.kind=Node,involvedObject.name={node},reason=InvalidNodeWeight"
    return [event["message"] for event in lab.items("events", "-n", "default", selector)]


def test_what_cannot_be_scheduled_is_told_by_one_node_and_what_can_is_done(
    herald: Product, lab: Lab, namespace: str
) -> None:
    herald.run(namespace, replicas=PODS)
    door = herald.expose(namespace, "web")

    def annotate(*annotations: str) -> None:
        lab.kubectl("annotate", "--overwrite", "service", "web", "-n", namespace, *annotations)

    def refusals() -> list[str]:
        return herald.events(namespace, "web", "SchedulerRefused")

    annotate("heraldlb.io/scheduler=lblc", "heraldlb.io/node-weights=node-1=many")
    wait_for("the refusal to be told", refusals)
    assert herald.fetch(door.ipv4).startswith("Hello from web-")
    lab.kubectl(*BAD_LABEL)
    try:
        annotate("heraldlb.io/scheduler=nq")
        wait_for("the next refusal to be told", lambda: any('"nq"' in note for note in refusals()))
        wait_for("the label to be objected to", lambda: _node_events(lab, "node-1"))
        assert sorted('"nq"' in note for note in refusals()) == [False, True]
        [note] = herald.events(namespace, "web", "InvalidWeight")
        assert '"node-1=many" is not NODE=WEIGHT' in note
        [note] = _node_events(lab, "node-1")
        assert 'heraldlb.io/weight: "heavy"' in note
    finally:
        lab.kubectl("label", "node", "node-1", "heraldlb.io/weight-")

    def in_turn() -> bool:
        answers = [lab.client.http_get(door.ipv4).split()[2] for _ in range(2 * PODS)]
        return len(set(answers[:PODS])) == PODS and answers[:PODS] == answers[PODS:]

    annotate("heraldlb.io/scheduler=rr", "heraldlb.io/node-weights-")
    wait_for("connections to go to each pod in its turn", in_turn)
    annotate("heraldlb.io/scheduler=maglev")
    wait_for("chance and hash to take turns no more", lambda: not in_turn())
