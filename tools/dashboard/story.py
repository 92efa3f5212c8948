"""A little life for the picture: Services come and fill the pool, clients ask, a node loses power and returns."""

from __future__ import annotations

import time
from typing import Final

from lab.lab import Lab
from lab.prometheus import Prometheus
from lab.waiting import wait_for
from lab.workloads import service, web
from tools.dashboard.panels import ROOT

NAMESPACE: Final = "kube-system"
POOL: Final = {
    "apiVersion": "heraldlb.io/v1beta1",
    "kind": "AddressPool",
    "metadata": {"name": "lan"},
    "spec": {"addresses": ["192.168.100.201-192.168.100.220", "fd00:100::f000/123"]},
}
SERVICES: Final = 24
"""More than the pool has IPv4 addresses for."""

PAUSE: Final = 3.0
"""Seconds between two Services."""

CALM: Final = 20.0
"""Seconds of nothing but clients, between two things that happen."""


def install(lab: Lab) -> None:
    """Herald and some web servers, ready."""
    lab.install(ROOT / "charts" / "heraldlb", release="heraldlb", namespace=NAMESPACE)
    lab.apply(web("web", replicas=3), POOL)
    lab.wait_for_rollout("deployment/web")


def live(lab: Lab, prometheus: Prometheus) -> None:
    """Some minutes of it."""
    _let(lab, CALM)
    for number in range(SERVICES):
        families = "PreferDualStack" if number % 2 else "SingleStack"
        lab.apply(service(f"shop-{number}", selector={"app": "web"}, ipFamilyPolicy=families))
        _let(lab, PAUSE)
    _let(lab, CALM)
    node = _announcer(lab)
    lab.power_off(node)
    _let(lab, CALM)
    lab.power_on(node)
    lab.wait_ready([node])
    prometheus.find_targets()
    _let(lab, CALM)
    for number in range(0, SERVICES, 3):
        lab.kubectl("delete", "service", f"shop-{number}", "--wait=false")
        _let(lab, PAUSE / 2)
    _let(lab, CALM)


def _let(lab: Lab, seconds: float) -> None:
    """Time goes by, while a client asks for each address from afresh, as clients do whose caches have run out."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for address in _addresses(lab)[:6]:
            lab.client.exec(["ip", "neigh", "flush", "to", address], check=False)
            try:
                lab.client.http_get(address, timeout=0.5)
            except OSError:
                continue
        time.sleep(min(0.5, max(0.0, until - time.monotonic())))


def _addresses(lab: Lab) -> list[str]:
    return [record["spec"]["address"] for record in lab.items("serviceaddresses")]


def _announcer(lab: Lab) -> str:
    """A node that announces something and does not run the acting controller: one thing at a time."""

    def found() -> str:
        lease = lab.get("lease", "heraldlb-controller", "-n", NAMESPACE)["spec"]["holderIdentity"]
        acting = lab.get("pod", lease, "-n", NAMESPACE)["spec"]["nodeName"]
        owners = [record.get("status", {}).get("node") for record in lab.items("serviceaddresses")]
        return next((owner for owner in owners if owner and owner != acting), "")

    return wait_for("a node to announce something", found)
