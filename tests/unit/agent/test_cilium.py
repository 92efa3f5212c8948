"""What Cilium's ConfigMap says of kube-proxy."""

from __future__ import annotations

from typing import Any

import pytest

from heraldlb.agent.cilium import replaces_kube_proxy


@pytest.mark.parametrize(
    ("data", "replaces"),
    [
        ({"kube-proxy-replacement": "true"}, True),
        ({"kube-proxy-replacement": "strict"}, True),
        ({"kube-proxy-replacement": "false"}, False),
        ({"kube-proxy-replacement": "partial"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_cilium_replaces_kube_proxy_only_where_it_says_so(data: Any, replaces: bool) -> None:
    assert replaces_kube_proxy({"data": data}) is replaces
