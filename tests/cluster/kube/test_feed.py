"""Mirrors follow a real API server."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from heraldlb.api.objects import NamespacedName, text
from heraldlb.api.servicecidrs import parse_service_cidr
from heraldlb.kube import client, credentials, kopf_watch, metrics, pulses
from heraldlb.kube import feed as feed_module
from heraldlb.kube.feed import Feed, Subscription
from heraldlb.kube.mirror import Change, Mirror
from lab.api_server import ApiServer
from lab.waiting import wait_for

PATIENCE = 20.0


class Watched:
    """The namespaces of one label, as a feed delivers them."""

    def __init__(self, api: client.Api, *, direct: bool) -> None:
        self.api = api
        self.direct = direct
        self.label = f"feed-{secrets.token_hex(4)}"
        self.mirror: Mirror[str] = Mirror(lambda raw: text(raw, "metadata", "annotations", "says") or "nothing")
        self.changes: asyncio.Queue[Change[str]] = asyncio.Queue()
        self.fail_on = "never said"

    def subscription(self) -> Subscription:
        mine = {"labelSelector": f"feed={self.label}"}
        return Subscription(client.NAMESPACES, self.mirror, self.on_change, mine, direct=self.direct)

    def on_change(self, change: Change[str]) -> None:
        if change.after == self.fail_on:
            raise RuntimeError("not understood")
        self.changes.put_nowait(change)

    async def create(self, name: str) -> NamespacedName:
        name = f"{self.label}-{name}"
        body = {"metadata": {"name": name, "labels": {"feed": self.label}}}
        await self.api.create(client.NAMESPACES, body)
        return NamespacedName("", name)

    async def say(self, key: NamespacedName, what: str) -> None:
        await self.api.patch(client.NAMESPACES, key.name, {"metadata": {"annotations": {"says": what}}})

    async def await_change(self, key: NamespacedName, after: str | None) -> None:
        async with asyncio.timeout(PATIENCE):
            while (change := await self.changes.get()).key != key or change.after != after:
                pass


@pytest.fixture
async def configuration(api_server: ApiServer) -> Any:
    return await credentials.load(str(api_server.kubeconfig))


@pytest.fixture(params=[False, True], ids=["kopf", "direct"])
async def watched(configuration: Any, request: pytest.FixtureRequest) -> AsyncIterator[Watched]:
    async with client.Api(configuration) as api:
        yield Watched(api, direct=request.param)


async def test_what_is_there_is_mirrored_before_the_start_returns_and_changes_follow(
    watched: Watched, configuration: Any
) -> None:
    first = await watched.create("first")
    async with Feed(watched.api, configuration, [watched.subscription()]) as feed:
        await feed.start()
        assert watched.mirror.get(first) == "nothing"
        assert watched.changes.empty()
        second = await watched.create("second")
        await watched.await_change(second, "nothing")
        await watched.say(first, "hello")
        await watched.await_change(first, "hello")


async def test_an_object_that_no_longer_matches_counts_as_deleted(watched: Watched, configuration: Any) -> None:
    first = await watched.create("first")
    async with Feed(watched.api, configuration, [watched.subscription()]) as feed:
        await feed.start()
        await watched.api.patch(client.NAMESPACES, first.name, {"metadata": {"labels": {"feed": None}}})
        await watched.await_change(first, None)


async def test_a_deletion_that_nobody_told_of_is_found_by_listing_again(
    watched: Watched, configuration: Any
) -> None:
    async with Feed(watched.api, configuration, [watched.subscription()]) as feed:
        await feed.start()
        ghost = NamespacedName("", "ghost")
        watched.mirror.observe("ADDED", {"metadata": {"name": ghost.name, "resourceVersion": "1"}})
        feed.resync()
        await watched.await_change(ghost, None)


async def test_a_change_that_is_not_understood_does_not_keep_back_the_next(
    watched: Watched, configuration: Any
) -> None:
    watched.fail_on = "nonsense"
    first = await watched.create("first")
    async with Feed(watched.api, configuration, [watched.subscription()]) as feed:
        await feed.start()
        await watched.say(first, "nonsense")
        await watched.say(first, "sense")
        await watched.await_change(first, "sense")


async def test_a_watch_goes_on_from_the_version_of_a_list(configuration: Any) -> None:
    async with client.Api(configuration) as api:
        watched = Watched(api, direct=True)
        _, version = await api.list(client.NAMESPACES, {})
        key = await watched.create("seen")
        async with asyncio.timeout(PATIENCE), aclosing(api.watch(client.NAMESPACES, {}, version)) as events:
            async for event, raw in events:
                if text(raw, "metadata", "name") == key.name:
                    assert event == "ADDED"
                    break


async def test_a_version_that_the_server_refuses_is_told(configuration: Any) -> None:
    async with client.Api(configuration) as api:
        with pytest.raises(client.ApiError, match="watch namespaces"):
            async for _ in api.watch(client.NAMESPACES, {}, "nonsense"):
                pass


class Forgetful(client.Api):
    """Asks for versions that the server knows no more, once."""

    stale = True

    async def watch(self, resource: Any, selectors: Any, version: str, **options: Any) -> Any:
        wanted, self.stale = ("nonsense" if self.stale else version), False
        async with aclosing(super().watch(resource, selectors, wanted, **options)) as events:
            async for event in events:
                yield event


async def test_a_watch_that_cannot_go_on_is_begun_anew_with_a_list(configuration: Any) -> None:
    async with Forgetful(configuration) as api:
        watched = Watched(api, direct=True)
        async with Feed(api, configuration, [watched.subscription()]) as feed:
            await feed.start()
            first = await watched.create("first")
            await watched.await_change(first, "nothing")
            assert not api.stale
            await watched.say(first, "hello")
            await watched.await_change(first, "hello")


async def test_an_optional_kind_is_mirrored_where_the_api_server_has_it_and_empty_where_not(
    configuration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "ABSENT_PERIOD", 0.05)
    relists = asyncio.Event()
    cidrs, absent = Mirror(parse_service_cidr), Mirror(parse_service_cidr)
    nowhere = client.Resource("example.org", "v1", "unknowns", namespaced=False)
    async with client.Api(configuration) as api:
        wanted = [
            Subscription(client.SERVICE_CIDRS, cidrs, lambda _: relists.set(), direct=True, optional=True),
            Subscription(nowhere, absent, lambda _: None, direct=True, optional=True),
        ]
        async with Feed(api, configuration, wanted) as feed, asyncio.timeout(PATIENCE):
            await feed.start()
            # The API server itself makes the first one, a moment after its start.
            if not len(cidrs):
                await relists.wait()
    assert [cidr.cidrs for cidr in cidrs.values()]
    assert not len(absent)


def last_heard() -> float:
    """Of namespaces, by any feed."""
    [metric] = metrics.WATCH_HEARD.collect()
    return max(
        (sample.value for sample in metric.samples if sample.labels["resource"] == "namespaces"), default=0.0
    )


@pytest.mark.parametrize("direct", [False, True], ids=["kopf", "direct"])
async def test_the_api_server_is_heard_of_while_nothing_changes(
    configuration: Any, monkeypatch: pytest.MonkeyPatch, direct: bool
) -> None:
    monkeypatch.setattr(kopf_watch, "STREAM_SECONDS", 1)
    monkeypatch.setattr(client, "WATCH_SILENCE", 1.0)
    monkeypatch.setattr(feed_module, "RELIST_QUIET", 1_000.0)
    async with client.Api(configuration) as api:
        watched = Watched(api, direct=direct)
        async with Feed(api, configuration, [watched.subscription()]) as feed:
            await feed.start()
            for _ in range(4):
                before = last_heard()
                await asyncio.to_thread(
                    wait_for, "a word about namespaces", lambda since=before: last_heard() > since
                )
            assert feed.silent() == feed.stalled() == ""
        assert watched.changes.empty()
        assert last_heard() == 0.0, "a feed that was closed is not silent"


@pytest.mark.parametrize("direct", [False, True], ids=["kopf", "direct"])
async def test_a_watch_that_nobody_keeps_up_is_stalled_and_silent(
    configuration: Any, monkeypatch: pytest.MonkeyPatch, direct: bool
) -> None:
    monkeypatch.setattr(kopf_watch, "watch", lambda *arguments: arguments[-1].wait())
    monkeypatch.setattr(Feed, "_watch_directly", lambda *_: asyncio.sleep(3_600))
    monkeypatch.setattr(feed_module, "RELIST_QUIET", 1_000.0)
    async with client.Api(configuration) as api:
        watched = Watched(api, direct=direct)
        async with Feed(api, configuration, [watched.subscription()]) as feed:
            await feed.start()
            assert feed.stalled() == ""
            monkeypatch.setattr(pulses, "SILENCE", 0.05)
            await asyncio.sleep(0.1)
            assert feed.stalled().startswith("nobody watches namespaces for ")
            assert feed.silent().startswith("no word from the API server about namespaces for ")


class Deaf(client.Api):
    """Reaches no API server any more once it is told so."""

    unplugged = False

    async def watch(self, resource: Any, selectors: Any, version: str, **options: Any) -> Any:
        if self.unplugged:
            raise client.ApiUnavailableError("unplugged")
        async with aclosing(super().watch(resource, selectors, version, **options)) as events:
            async for event in events:
                if self.unplugged:
                    raise client.ApiUnavailableError("unplugged")
                yield event


async def test_while_the_api_server_is_away_a_watch_is_silent_and_not_stalled(
    configuration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Deaf(configuration) as api:
        watched = Watched(api, direct=True)
        async with Feed(api, configuration, [watched.subscription()]) as feed:
            await feed.start()
            api.unplugged = True
            await watched.create("unseen")
            monkeypatch.setattr(pulses, "SILENCE", 4 * feed_module.REWATCH_PERIOD)
            await asyncio.to_thread(wait_for, "silence", lambda: feed.silent() and not feed.stalled())


async def test_watched_directly_changes_of_several_objects_come_in_the_order_in_which_they_were_made(
    configuration: Any,
) -> None:
    made: list[tuple[NamespacedName, str]] = []
    async with client.Api(configuration) as api:
        watched = Watched(api, direct=True)
        first = await watched.create("first")
        async with Feed(api, configuration, [watched.subscription()]) as feed:
            await feed.start()
            for number in range(20):
                made.append((await watched.create(str(number)), "nothing"))
                await watched.say(first, str(number))
                made.append((first, str(number)))
            for key, after in made:
                async with asyncio.timeout(PATIENCE):
                    change = await watched.changes.get()
                assert (change.key, change.after) == (key, after)


async def test_a_feed_that_is_closed_while_kopf_still_connects_leaves_nothing_open(
    configuration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connects = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with client.Api(configuration) as api:
        for earlier in range(8):
            requests = iter(range(earlier))
            connects.clear()

            def tried(feed: Feed, resource: Any, requests: Iterator[int] = requests) -> None:
                if threading.current_thread().name == "kopf" and next(requests, None) is None:
                    loop.call_soon_threadsafe(connects.set)

            monkeypatch.setattr(Feed, "_tried", tried)
            watched = Watched(api, direct=False)
            async with Feed(api, configuration, [watched.subscription()]) as feed, asyncio.timeout(PATIENCE):
                await feed.start()
                await connects.wait()
            assert "kopf" not in [thread.name for thread in threading.enumerate()]
    # What is left open complains, and that fails the test.
    gc.collect()


@pytest.mark.parametrize("failing", ["credentials", "server"])
async def test_kopf_goes_on_after_what_it_takes_for_fatal(
    configuration: Any, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    monkeypatch.setattr(kopf_watch, "RESTART_PERIOD", 0.05)
    failed = threading.Event()
    connection_info = kopf_watch._connection_info

    async def wrong_at_first(configuration: Any) -> Any:
        info = await connection_info(configuration)
        if failed.is_set():
            return info
        failed.set()
        if failing == "credentials":
            raise RuntimeError("no credentials")
        return dataclasses.replace(info, server=f"{info.server}/nowhere")

    monkeypatch.setattr(kopf_watch, "_connection_info", wrong_at_first)
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hear(feed: Feed, resource: Any) -> None:
        if threading.current_thread().name == "kopf":
            loop.call_soon_threadsafe(heard.set)

    monkeypatch.setattr(Feed, "_heard", hear)
    async with client.Api(configuration) as api:
        watched = Watched(api, direct=False)
        async with Feed(api, configuration, [watched.subscription()]) as feed, asyncio.timeout(PATIENCE):
            await feed.start()
            await heard.wait()
    assert failed.is_set()
