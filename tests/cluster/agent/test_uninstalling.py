"""How an agent learns from a real API server that it is uninstalled, and not just replaced."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from heraldlb.agent import uninstalling
from heraldlb.agent.uninstalling import Uninstalling
from heraldlb.api.objects import NamespacedName
from heraldlb.kube import credentials
from heraldlb.kube.client import DAEMON_SETS, Api
from lab.api_server import ApiServer
from lab.waiting import wait_for
from tests.cluster.kubectl import Kubectl

PATIENCE = 30.0
NAMESPACE = "default"


class Followed:
    """A DaemonSet, and what follows it."""

    def __init__(self, api: Api, run: Kubectl) -> None:
        self.api = api
        self.kubectl = run
        self.name = f"agent-{secrets.token_hex(4)}"
        self.uninstalling = Uninstalling(api, NamespacedName(NAMESPACE, self.name))

    async def create(self) -> None:
        labels = {"app": self.name}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "agent", "image": "agent"}]}}
        body = {"metadata": {"name": self.name}, "spec": {"selector": {"matchLabels": labels}, "template": pod}}
        await self.api.create(DAEMON_SETS, body, NAMESPACE)

    async def patch(self, body: dict[str, Any]) -> None:
        await self.api.patch(DAEMON_SETS, self.name, body, namespace=NAMESPACE)

    async def delete(self, cascade: str) -> None:
        arguments = ("delete", "daemonset", self.name, f"--cascade={cascade}", "--wait=false", "-n", NAMESPACE)
        await asyncio.to_thread(self.kubectl, *arguments)

    async def until(self, *, deleted: bool) -> None:
        def holds() -> bool:
            return self.uninstalling.deleted is deleted

        await asyncio.to_thread(wait_for, f"deleted: {deleted}", holds, PATIENCE)


@pytest.fixture
async def followed(api_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Followed]:
    monkeypatch.setattr(uninstalling, "RETRY", 0.1)
    async with Api(await credentials.load(str(api_server.kubeconfig))) as api:
        made = Followed(api, Kubectl(api_server))
        await made.create()
        running = asyncio.create_task(made.uninstalling.run())
        try:
            yield made
        finally:
            running.cancel()
            await asyncio.wait({running})


async def seen(followed: Followed) -> None:
    """Until the DaemonSet is watched, which a deletion that is taken back shows."""
    await asyncio.to_thread(wait_for, "it to be seen", lambda: followed.uninstalling._seen, PATIENCE)


async def test_a_deletion_is_seen_and_taken_back_when_the_daemonset_is_made_anew(followed: Followed) -> None:
    await seen(followed)
    await followed.patch({"metadata": {"annotations": {"restarted": "now"}}})
    assert not followed.uninstalling.deleted
    await followed.delete("background")
    await followed.until(deleted=True)
    await followed.create()
    await followed.until(deleted=False)
    await followed.delete("background")
    await followed.until(deleted=True)


async def test_a_deletion_in_the_foreground_counts_before_the_pods_have_ended(followed: Followed) -> None:
    await seen(followed)
    await followed.patch({"metadata": {"finalizers": ["test.heraldlb.io/held"]}})
    await followed.delete("foreground")
    await followed.until(deleted=True)
    await followed.patch({"metadata": {"finalizers": None}})


async def test_a_daemonset_that_was_never_there_is_no_uninstallation(api_server: ApiServer) -> None:
    async with Api(await credentials.load(str(api_server.kubeconfig))) as api:
        watching = Uninstalling(api, NamespacedName(NAMESPACE, "never"))
        running = asyncio.create_task(watching.run())
        while api.last_answer < 0:  # noqa: ASYNC110 - nothing is signalled
            await asyncio.sleep(0.05)
        assert not watching.deleted
        running.cancel()
        await asyncio.wait({running})
