from __future__ import annotations

from heraldlb.allocation.deadlines import Deadlines


def test_what_is_due_comes_soonest_first_and_once() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for key, when in (("late", 9.0), ("soon", 1.0), ("middle", 5.0)):
        deadlines.set(key, when)
    assert deadlines.next() == 1.0
    assert deadlines.take_due(5.0) == ["soon", "middle"]
    assert deadlines.take_due(5.0) == []
    assert deadlines.next() == 9.0


def test_a_deadline_set_again_replaces_the_former_either_way() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 1.0)
    deadlines.set("a", 5.0)
    assert deadlines.take_due(4.0) == []
    deadlines.set("a", 2.0)
    assert deadlines.take_due(4.0) == ["a"]
    assert deadlines.next() is None


def test_a_discarded_deadline_never_comes() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 1.0)
    deadlines.discard("a")
    deadlines.discard("unknown")
    assert deadlines.next() is None
    assert deadlines.take_due(9.0) == []
    assert len(deadlines) == 0


def test_keys_need_no_order_among_themselves() -> None:
    deadlines: Deadlines[object] = Deadlines()
    first, second = object(), object()
    deadlines.set(first, 1.0)
    deadlines.set(second, 1.0)
    assert deadlines.take_due(1.0) == [first, second]
