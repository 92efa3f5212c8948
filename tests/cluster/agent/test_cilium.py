"""Reading Cilium's settings from a real API server."""

from __future__ import annotations

import pytest

from heraldlb.agent import cilium
from heraldlb.agent.cilium import CiliumConfig
from heraldlb.kube import credentials
from heraldlb.kube.client import CONFIG_MAPS, Api
from lab.api_server import ApiServer
from tests.cluster.kubectl import Kubectl


async def test_the_configmap_decides_and_its_absence_says_no(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Api(await credentials.load(str(api_server.kubeconfig))) as api:
        config = CiliumConfig(api)
        assert not await config.replaces()
        body = {"metadata": {"name": cilium.NAME}, "data": {"kube-proxy-replacement": "true"}}
        await api.create(CONFIG_MAPS, body, cilium.NAMESPACE)
        try:
            assert not await config.replaces(), "it is not asked for over and over"
            monkeypatch.setattr(cilium, "FRESH", 0.0)
            assert await config.replaces()
        finally:
            Kubectl(api_server)("delete", "configmap", cilium.NAME, f"--namespace={cilium.NAMESPACE}")
        assert not await config.replaces()
