from __future__ import annotations

import asyncio

from heraldlb.kube.workqueue import FIRST_RETRY, LAST_RETRY, WorkQueue


async def test_marks_of_one_key_are_folded_into_one() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.mark_all(["a", "b", "a"])
    assert [await queue.take(), await queue.take()] == ["a", "b"]
    assert len(queue) == 2
    queue.done("a")
    queue.done("b")
    assert len(queue) == 0


async def test_a_key_marked_while_it_is_worked_on_comes_again_but_not_at_the_same_time() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.mark("a")
    assert await queue.take() == "a"
    queue.mark("a")
    waiting = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done("a")
    assert await waiting == "a"


async def test_failures_are_repeated_later_and_later_and_success_forgives_them() -> None:
    queue: WorkQueue[str] = WorkQueue()
    delays = []
    for _ in range(12):
        queue.mark("a")
        delays.append(queue.retry(await queue.take()))
    assert delays[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert delays[-1] == LAST_RETRY
    queue.mark("a")
    queue.done(await queue.take())
    queue.mark("a")
    assert queue.retry(await queue.take()) == FIRST_RETRY
    queue.close()


async def test_a_new_mark_does_not_wait_for_the_repetition() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for _ in range(10):
        queue.mark("a")
        queue.retry(await queue.take())
    queue.mark("a")
    assert await asyncio.wait_for(queue.take(), 1) == "a"
    queue.close()


async def test_a_failed_key_comes_again_by_itself() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.mark("a")
    queue.retry(await queue.take())
    assert await asyncio.wait_for(queue.take(), 5) == "a"


async def test_the_most_urgent_comes_first_and_equally_urgent_ones_as_they_were_marked() -> None:
    queue: WorkQueue[str] = WorkQueue(len)
    queue.mark_all(["ccc", "bb", "a", "dd"])
    assert [await queue.take() for _ in range(4)] == ["a", "bb", "dd", "ccc"]


async def test_a_key_that_has_become_more_urgent_while_it_waits_moves_forward() -> None:
    urgency = {"a": 2, "b": 1}
    queue: WorkQueue[str] = WorkQueue(urgency.__getitem__)
    queue.mark_all(["a", "b"])
    urgency["a"] = 0
    queue.mark("a")
    assert [await queue.take(), await queue.take()] == ["a", "b"]
    assert len(queue) == 2


async def test_nothing_less_urgent_overtakes_what_must_come_again() -> None:
    queue: WorkQueue[str] = WorkQueue(len)
    queue.mark("bb")
    assert await queue.take() == "bb"
    queue.mark_all(["bb", "ccc", "a"])
    assert await queue.take() == "a"
    waiting = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done("bb")
    assert [await waiting, await queue.take()] == ["bb", "ccc"]
