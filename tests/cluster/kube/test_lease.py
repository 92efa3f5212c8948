"""A Lease of a real API server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from heraldlb.kube import client, credentials
from heraldlb.kube.lease import Lease, LeaseSettings
from lab.api_server import ApiServer

PATIENCE = 20.0


@pytest.fixture
async def api(api_server: ApiServer) -> AsyncIterator[client.Api]:
    async with client.Api(await credentials.load(str(api_server.kubeconfig))) as opened:
        yield opened


@pytest.fixture
def settings() -> LeaseSettings:
    return LeaseSettings("default", f"lease-{secrets.token_hex(4)}", "first", period=0.1, deadline=1.0)


async def test_a_lease_that_is_not_renewed_is_held_until_the_deadline_and_then_lost(
    api: client.Api, settings: LeaseSettings
) -> None:
    plugged = True
    lease = Lease(api.fenced(lambda: plugged), settings)
    assert not lease.holds()
    async with asyncio.timeout(PATIENCE), lease.held() as lost:
        assert lease.holds()
        plugged = False
        await lost.wait()
        assert not lease.holds()


async def test_a_lease_that_another_had_meanwhile_is_lost_even_if_it_is_free_again(
    api: client.Api, settings: LeaseSettings
) -> None:
    async with asyncio.timeout(PATIENCE), Lease(api, settings).held() as lost:
        given_back = {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}}
        await api.patch(client.LEASES, settings.name, given_back, namespace=settings.namespace)
        await lost.wait()
