from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from heraldlb.api.objects import NamespacedName
from heraldlb.kube.mirror import Mirror


def raw(name: str, version: int, value: Any = "x") -> dict[str, Any]:
    return {"metadata": {"namespace": "n", "name": name, "resourceVersion": str(version)}, "value": value}


def key(name: str) -> NamespacedName:
    return NamespacedName("n", name)


def mirror() -> Mirror[Any]:
    return Mirror(lambda body: body["value"])


def test_an_event_is_taken_once() -> None:
    copy = mirror()
    change = copy.observe("ADDED", raw("a", 5))
    assert change is not None
    assert (change.before, change.after) == (None, "x")
    assert copy.observe("MODIFIED", raw("a", 5)) is None
    assert copy.observe("MODIFIED", raw("a", 4, "old")) is None
    assert copy.get(key("a")) == "x"


def test_a_listed_object_cannot_bring_back_what_was_deleted_later() -> None:
    copy = mirror()
    copy.observe("ADDED", raw("a", 5))
    copy.observe("DELETED", raw("a", 9))
    assert copy.observe(None, raw("a", 5)) is None
    assert copy.get(key("a")) is None


def test_an_object_made_again_is_taken() -> None:
    copy = mirror()
    copy.observe("DELETED", raw("a", 9))
    assert copy.observe("ADDED", raw("a", 10, "new")) is not None
    assert copy.get(key("a")) == "new"


def test_a_list_tells_what_was_deleted_unseen() -> None:
    copy = mirror()
    copy.observe("ADDED", raw("a", 5))
    copy.observe("ADDED", raw("b", 6))
    [change] = copy.replace([raw("b", 6)], version=8)
    assert change.key == key("a")
    assert change.after is None


def test_a_list_older_than_an_object_does_not_delete_it() -> None:
    copy = mirror()
    copy.observe("ADDED", raw("a", 9))
    assert copy.replace([], version=8) == []
    assert copy.get(key("a")) == "x"


def test_what_the_parser_leaves_out_is_absent() -> None:
    copy = mirror()
    assert copy.observe("ADDED", raw("a", 1, None)) is None
    assert copy.get(key("a")) is None
    assert copy.observe("MODIFIED", raw("a", 2)) is not None


@given(st.permutations(list(range(1, 9))), st.lists(st.integers(0, 7), max_size=4))
def test_whatever_the_order_of_events_the_newest_state_wins(order: list[int], repeated: list[int]) -> None:
    kinds = ["ADDED", "MODIFIED", "DELETED", "ADDED", "MODIFIED", "MODIFIED", "DELETED", "ADDED"]
    history = [(kind, raw("a", version, version)) for version, kind in enumerate(kinds, 1)]
    copy = mirror()
    for index in [number - 1 for number in order] + repeated:
        copy.observe(*history[index])
    assert copy.get(key("a")) == 8
