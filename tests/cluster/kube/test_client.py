"""Calls to a real API server."""

from __future__ import annotations

import asyncio
import gc

import pytest

from heraldlb.kube import client, credentials
from lab.api_server import ApiServer


def test_calls_that_are_given_up_at_whatever_moment_leave_nothing_open(api_server: ApiServer) -> None:
    async def give_up(after: float) -> None:
        configuration = await credentials.load(str(api_server.kubeconfig))
        async with client.Api(configuration) as api:
            endless = [asyncio.create_task(api.text("/api/v1/namespaces?watch=1")) for _ in range(5)]
            await asyncio.wait(endless, timeout=after)
            for each in endless:
                each.cancel()
            await asyncio.gather(*endless, return_exceptions=True)

    for milliseconds in (0, 1, 2, 3, 5, 8, 12, 20, 50):
        asyncio.run(give_up(milliseconds / 1_000))
    # What is left open complains, and that fails the test.
    gc.collect()


async def test_a_fenced_connection_reads_and_sends_no_write_while_it_may_not(api_server: ApiServer) -> None:
    may_write = True
    body = {"metadata": {"generateName": "fenced-"}}
    async with client.Api(await credentials.load(str(api_server.kubeconfig))) as api:
        fenced = api.fenced(lambda: may_write)
        made = await fenced.create(client.NAMESPACES, body)
        may_write = False
        name, patch = made["metadata"]["name"], {"metadata": {"labels": {"written": "yes"}}}
        for write in (
            fenced.create(client.NAMESPACES, body),
            fenced.patch(client.NAMESPACES, name, patch),
            fenced.replace(client.NAMESPACES, name, made),
            fenced.delete(client.NAMESPACES, name, {}),
        ):
            with pytest.raises(client.ApiUnavailableError, match="another replica may act by now"):
                await write
        assert await fenced.get(client.NAMESPACES, name) == await api.get(client.NAMESPACES, name)
        await api.patch(client.NAMESPACES, name, patch)
