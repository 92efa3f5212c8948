"""From MetalLB to Herald on a cluster that serves, by the very commands that `kubectl herald migrate` prints.

MetalLB is its objects, what it leaves on Services, and a stand-in for its speakers that answers on the LAN.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab import binaries
from lab.kubelet.images import PAUSE, WEB
from lab.lab import Lab
from lab.probing import asking
from lab.waiting import wait_for
from lab.workloads import service
from tests.cluster.controller.api import Api, services_of
from tests.cluster.controller.tenant import shown_by
from tests.foreign import METALLB_NAMESPACE, metallb, metallb_definitions
from tests.lab.herald.lan import Lan
from tests.lab.herald.product import CHART, PATIENCE, Product
from tests.lab.herald.test_cli import herald_cli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Body = dict[str, Any]

SHOP = "shop"
ADDRESSES: Mapping[str, Sequence[str]] = {
    "dual": ["192.168.100.217", "fd00:100::f003"],
    "asks": ["192.168.100.205"],
    "shares-1": ["192.168.100.211"],
    "shares-2": ["192.168.100.211"],
    "elsewhere": ["192.168.100.244"],
}
"""As MetalLB has given them: not those that Herald would give if it were asked first."""
WISHES: Mapping[str, Mapping[str, str]] = {
    "asks": {"metallb.universe.tf/loadBalancerIPs": "192.168.100.205"},
    "shares-1": {"metallb.io/allow-shared-ip": "web"},
    "shares-2": {"metallb.io/allow-shared-ip": "web"},
    "elsewhere": {"metallb.io/address-pool": "rest"},
}
PORTS = {"shares-2": 8080}
EVERY = 0.1
"""Seconds between two connections to an address."""
CONNECTION_PATIENCE = 10.0
STRANGER = "02:00:00:00:00:c8"
"""A host that has yet to learn where the addresses are, and asks time and again; the client remembers."""


@dataclass(frozen=True, slots=True)
class Site:
    """A cluster that MetalLB serves, beside kube-proxy."""

    lab: Lab
    herald: Product
    folder: Path
    """Where the user is."""

    @property
    def addresses(self) -> list[str]:
        return sorted({address for held in ADDRESSES.values() for address in held})

    def _run(self, command: str) -> None:
        """As a user does, in a shell; it has to succeed."""
        programs = [Path(sys.executable).parent, self.folder]
        paths = {f"HELM_{kind}_HOME": str(self.folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}
        paths |= {
            "KUBECONFIG": str(self.lab.kubeconfig),
            "KUBECACHEDIR": str(self.folder / "cache"),
            "PATH": f"{':'.join(map(str, programs))}:{os.environ['PATH']}",
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=os.environ | paths,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def follow(self, step: Body) -> None:
        """Run its commands, one after another."""
        for command in step["commands"]:
            self._run(command)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    for program in ("kubectl", "helm"):
        (tmp_path / program).symlink_to(binaries.find(program))
    (tmp_path / "charts").symlink_to(CHART.parent)
    with Lab(nodes=3) as lab:
        lab.start_kube_proxy("nftables")
        herald = Product(lab)
        lab.create_namespace(SHOP)
        lab.create_namespace(METALLB_NAMESPACE)
        herald.run(SHOP, replicas=3)
        lab.apply(*metallb_definitions())
        for kind in metallb_definitions():
            lab.wait_until(f"crd/{kind['metadata']['name']}", "condition=Established")
        lab.apply(*_objects(), *map(_service, ADDRESSES), *_metallb(list(lab.nodes)))
        for name, held in ADDRESSES.items():
            ingress = [{"ip": address, "ipMode": "VIP"} for address in held]
            status = json.dumps({"status": {"loadBalancer": {"ingress": ingress}}})
            lab.kubectl(
                "patch", "service", name, "-n", SHOP, "--subresource=status", "--type=merge", f"-p={status}"
            )
        site = Site(lab, herald, tmp_path)
        for address in site.addresses:
            herald.fetch(address)
        yield site


def _objects() -> list[Body]:
    """What its user wrote."""
    lan = ["192.168.100.201-192.168.100.230", "fd00:100::f000/120"]
    return [
        metallb("IPAddressPool", "lan", {"addresses": lan}),
        metallb("IPAddressPool", "rest", {"addresses": ["192.168.100.240/28"], "autoAssign": False}),
        metallb("L2Advertisement", "all", {"ipAddressPools": ["lan", "rest"]}),
    ]


def _service(name: str) -> Body:
    pool = "rest" if name == "elsewhere" else "lan"
    families = ["IPv4", "IPv6"] if name == "dual" else ["IPv4"]
    made = service(
        name,
        SHOP,
        selector={"app": "web"},
        ipFamilies=families,
        ipFamilyPolicy="RequireDualStack" if name == "dual" else "SingleStack",
        ports=[{"name": "http", "port": PORTS.get(name, 80), "targetPort": 8080}],
    )
    made["metadata"]["annotations"] = {"metallb.io/ip-allocated-from-pool": pool, **WISHES.get(name, {})}
    return made


def _metallb(nodes: list[str]) -> list[Body]:
    """Its two parts, named as by its manifests."""
    arguments = ["--node", "$(NODE)", "--nodes", *nodes, "--addresses"]
    addresses = sorted({address for held in ADDRESSES.values() for address in held})
    speaker = {
        "name": "speaker",
        "image": WEB,
        "command": [sys.executable, "-m", "tests.lab.herald.metallb_speaker", *arguments, *addresses],
        "workingDir": str(CHART.parents[1]),
        "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
    }
    return [
        _workload("Deployment", "controller", {"containers": [{"name": "controller", "image": PAUSE}]}),
        _workload("DaemonSet", "speaker", {"hostNetwork": True, "containers": [speaker]}),
    ]


def _workload(kind: str, name: str, pod: Body) -> Body:
    labels = {"app": "metallb", "component": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": METALLB_NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def test_by_the_printed_steps_no_service_changes_its_address_and_herald_announces_all(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    lab, herald, addresses = site.lab, site.herald, site.addresses
    status, report = herald_cli(herald, "migrate", f"--to={site.folder / 'herald.yaml'}")
    assert (status, report["unserved"], report["advice"]) == (0, [], []), report
    *before, change, look, clean_up = report["steps"]
    with (
        closing(Api(lab.kubeconfig)) as api,
        Lan(lab.client) as lan,
        lan.asking(*addresses, every=EVERY, mac=STRANGER),
        asking(lab.client, addresses, interval=EVERY, patience=CONNECTION_PATIENCE) as client,
    ):
        began = api.now()
        for step in before:
            site.follow(step)
        # Whoever reads what the next step is takes so long: from here on agents are replaced one by one.
        lab.wait_for_rollout("daemonset/herald-heraldlb-agent", "kube-system")
        site.follow(change)
        wait_for("Herald to announce all", lambda: herald.announcers().keys() >= set(addresses), PATIENCE)
        announced = time.monotonic()
        wait_for("everything to look well", lambda: herald_cli(herald, "status")[0] == 0, PATIENCE)
        site.follow(look)
        site.follow(clean_up)
        lan.await_sole_answerer(addresses, herald.macs())
        marker = {"metadata": {"name": "end"}, "spec": {"ports": [{"port": 80}]}}
        for change in api.history(services_of(SHOP), began, marker):
            assert shown_by(change.object) == ADDRESSES[change.name], change
        for address in addresses:
            wait_for(f"{address} to serve", lambda a=address: client.answered_since(a, announced), PATIENCE)  # type: ignore[misc]
    for address in addresses:
        silence = client.silence(address)
        record_property(f"connections to {address}", len(client.attempts[address]))
        record_property(f"lost of them to {address}", client.failures(address, since=0).failed)
        record_property(f"longest silence of {address}", silence and silence.seconds)
        answers = [said.time for said in lan.answers(address)]
        record_property(
            f"nobody answers for {address}", max(later - earlier for earlier, later in pairwise(answers))
        )
