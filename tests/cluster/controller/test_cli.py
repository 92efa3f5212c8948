"""`kubectl herald` against a real API server and a real controller; nodes and agents are objects only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from heraldlb.cli.kubectl.exits import Exit
from lab.api_server import ApiServer
from lab.waiting import wait_for
from tests.cluster.controller.api import NAMESPACES, RECORDS, Api
from tests.cluster.controller.plugin import Body, Plugin
from tests.cluster.controller.replicas import LEASE, Replica
from tests.cluster.controller.tenant import Tenant

NODES = "/api/v1/nodes"
PODS = f"{NAMESPACES}/kube-system/pods"
POOL = "heraldlb.io/address-pool"
HOLDER, CORDONED = "cli-holder", "cli-cordoned"
STRANGER = "02:00:00:00:00:bb on eth0 claims it, too"
NOBODY = f"no node can announce it ({CORDONED}: cordoned; {HOLDER}: the Service has no ready endpoint)"


@dataclass(frozen=True, slots=True)
class Site:
    """A tenant, and what agents would say of its addresses."""

    tenant: Tenant
    plugin: Plugin

    def say(self, address: str, *conditions: tuple[str, str, str, str], node: str = "") -> None:
        """Write the status of an address's record as an agent writes it."""
        when = "2026-01-01T00:00:00Z"
        fields = ("type", "status", "reason", "message")
        listed = [dict(zip(fields, each, strict=True)) | {"lastTransitionTime": when} for each in conditions]
        here = {"node": node, "interface": "eth0", "macAddress": "02:00:00:00:00:01", "since": when} if node else {}
        self.tenant.api.patch(RECORDS, address, {"status": {"conditions": listed, **here}}, "status")

    def announce(self, address: str) -> tuple[str, str, str, str]:
        """The condition of an address that the holder announces."""
        return ("Announced", "True", "Announcing", f"{HOLDER} answers on eth0 with 02:00:00:00:00:01")

    def serve(self, name: str) -> str:
        """A Service that has an address; the address."""
        self.tenant.service(name)
        [address] = self.tenant.await_assigned(name)[name]
        return address

    def back(self, name: str) -> None:
        """Two ready endpoints on the holder."""
        metadata = {"name": f"{name}-by-hand", "labels": {"kubernetes.io/service-name": name}}
        endpoints = [
            {"addresses": [f"10.1.0.{n}"], "nodeName": HOLDER, "conditions": {"ready": True}} for n in (1, 2)
        ]
        body = {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints}
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.tenant.namespace}/endpointslices"
        self.tenant.api.create(path, body | {"ports": [{"name": "tcp-80", "protocol": "TCP", "port": 8080}]})

    def explain(self, name: str) -> tuple[int, Body]:
        """Exit status and JSON of a Service's story."""
        return self.plugin.document("explain", f"{self.tenant.namespace}/{name}")


def _pod(name: str, component: str, node: str) -> Body:
    labels = {
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/version": "0.1.0",
    }
    container = {
        "name": component,
        "image": "heraldlb",
        "env": [{"name": "HERALD_LEASE_NAME", "value": LEASE}],
        "ports": [{"name": "metrics", "containerPort": 7473}],
    }
    spec = {"nodeName": node, "containers": [container], "automountServiceAccountToken": False}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


@pytest.fixture
def herald_pods(api: Api) -> Iterator[None]:
    """Herald's pods on two nodes, one of them cordoned, as the kubelets of both would leave them."""
    pods = (
        _pod("cli-controller", "controller", HOLDER),
        *(_pod(f"{n}-agent", "agent", n) for n in (HOLDER, CORDONED)),
    )
    accounts = f"{NAMESPACES}/kube-system/serviceaccounts"
    wait_for("the ServiceAccount of pods", lambda: api.find(accounts, "default"))
    try:
        for name in (HOLDER, CORDONED):
            api.create(NODES, {"metadata": {"name": name}, "spec": {"unschedulable": name == CORDONED}})
        for pod in pods:
            api.create(PODS, pod)
            ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
            api.patch(PODS, pod["metadata"]["name"], {"status": ready}, "status")
        yield
    finally:
        for pod in pods:
            api.delete(PODS, f"{pod['metadata']['name']}?gracePeriodSeconds=0")
        for name in (HOLDER, CORDONED):
            api.delete(NODES, name)


@pytest.fixture
def site(tenant: Tenant, api_server: ApiServer, controller: Replica, herald_pods: None) -> Site:
    tenant.pool("a", tenant.range4(10, 12))
    tenant.await_pool_seen("a")
    return Site(tenant, Plugin(api_server.kubeconfig))


def standings(chapter: Body) -> dict[str, tuple[str, list[str]]]:
    """Of the site's nodes."""
    return {
        each["node"]: (each["standing"], each["why"])
        for each in chapter["nodes"]
        if each["node"] in (HOLDER, CORDONED)
    }


def test_a_working_service_and_three_broken_ones_are_told_apart_and_each_cause_is_named(site: Site) -> None:
    tenant = site.tenant
    working, idle, contested = (site.serve(name) for name in ("working", "idle", "contested"))
    site.back("working")
    site.back("contested")
    site.say(working, site.announce(working), node=HOLDER)
    site.say(idle, ("Announced", "False", "NoEligibleNode", NOBODY))
    conflict = ("Conflict", "True", "AddressConflict", STRANGER)
    site.say(contested, site.announce(contested), conflict, node=HOLDER)
    tenant.service("refused", annotations={POOL: tenant.pool_name("a")})
    message = tenant.await_refused("refused", "PoolExhausted")

    status, story = site.explain("working")
    assert (status, story["state"], story["works"]) == (Exit.FINE, "Announced", True)
    [chapter] = story["addresses"]
    assert (chapter["address"], chapter["node"]) == (working, HOLDER)
    assert standings(chapter) == {HOLDER: ("Announces", []), CORDONED: ("MayNot", ["cordoned"])}
    assert list(chapter["unasked"]) == [HOLDER]
    assert [port["endpoints"] for port in story["forwarding"]["ports"]] == [{HOLDER: 2}]
    assert "AddressAssigned" in [each["reason"] for each in story["happened"]]
    assert story["allocation"]["decision"] == story["allocation"]["said"]

    status, story = site.explain("idle")
    assert (status, story["state"], story["headline"]) == (Exit.WRONG, "NotAnnounced", f"{idle}: {NOBODY}")
    no_endpoint = "the Service has no ready endpoint"
    assert standings(story["addresses"][0]) == {
        HOLDER: ("MayNot", [no_endpoint]),
        CORDONED: ("MayNot", ["cordoned", no_endpoint]),
    }
    assert "no pod matches its selector" in story["forwarding"]["ports"][0]["problem"]

    status, story = site.explain("contested")
    assert (status, story["state"], story["addresses"][0]["contested"]) == (Exit.WRONG, "Contested", STRANGER)

    status, story = site.explain("refused")
    assert (status, story["state"], story["headline"]) == (Exit.WRONG, "Refused", message)
    assert story["allocation"]["decision"] == story["allocation"]["said"]
    answers = {each["pool"]: each["reasons"] for each in story["allocation"]["walks"][0]["pools"]}
    assert answers[tenant.pool_name("a")] == ["PoolExhausted"]

    status, screen = site.plugin.document("status")
    about = {each["subject"]: each["remedy"] for each in screen["findings"] if tenant.namespace in each["subject"]}
    names = {f"{tenant.namespace}/{name}" for name in ("idle", "contested", "refused")}
    assert {name: about.get(name) for name in names} == {name: f"kubectl herald explain {name}" for name in names}
    assert f"{tenant.namespace}/working" not in about
    assert status == Exit.WRONG
    assert "controller" not in [each["subject"] for each in screen["findings"] if each["severity"] == "Wrong"]

    rows = site.plugin.run("services", "-n", tenant.namespace)
    assert (rows.returncode, rows.stdout.count("\x1b")) == (Exit.WRONG, 0)
    assert [line.split()[1:3] for line in rows.stdout.splitlines()[1:]] == [
        ["contested", "Contested"],
        ["idle", "NotAnnounced"],
        ["refused", "Refused"],
        ["working", "Announced"],
    ]
    status, pools = site.plugin.document("pools")
    [own] = [each for each in pools["pools"] if each["name"] == tenant.pool_name("a")]
    assert own["usage"] == [{"family": "IPv4", "capacity": 3, "assigned": 3, "available": 0}]


def test_what_credentials_may_not_read_is_said_and_the_rest_is_told(
    site: Site, controller_kubeconfig: Path
) -> None:
    """The controller's own may read neither pods nor EndpointSlices nor Events."""
    address = site.serve("web")
    site.say(address, site.announce(address), node=HOLDER)
    poor = Plugin(controller_kubeconfig)
    status, story = poor.document("explain", "svc", "web", "-n", site.tenant.namespace)
    assert (status, story["state"]) == (Exit.FINE, "Announced")
    assert set(story["unread"]) == {"pods", "slices", "leases", "events"}
    assert standings(story["addresses"][0])[CORDONED] == ("MayNot", ["cordoned"])
    refused = poor.run("explain", "web", "--namespace", "nowhere")
    assert (refused.returncode, refused.stderr) == (Exit.NOT_FOUND, "Error: there is no Service nowhere/web\n")


@pytest.fixture
def rival(site: Site) -> Iterator[str]:
    """MetalLB's controller, by its image: namespace and name."""
    path = f"/apis/apps/v1/namespaces/{site.tenant.namespace}/deployments"
    labels = {"app": "rival"}
    container = {"name": "controller", "image": "quay.io/metallb/controller:v0.15.2"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    site.tenant.api.create(path, {"metadata": {"name": "rival"}, "spec": spec})
    yield f"{site.tenant.namespace}/rival"
    site.tenant.api.delete(path, "rival")


def test_the_doctor_finds_another_load_balancer_and_says_what_it_could_not_look_at(
    site: Site, rival: str, controller_kubeconfig: Path
) -> None:
    status, report = site.plugin.document("doctor", "--no-probe")
    said = {each["subject"]: each for each in report["findings"]}
    assert (status, said["MetalLB"]["severity"]) == (Exit.WRONG, "Wrong")
    assert f"Deployment {rival}" in said["MetalLB"]["message"]
    assert "access" not in said
    assert {each["why"].partition(":")[0] for each in report["unchecked"]} == {
        HOLDER,
        CORDONED,
        "nothing was asked of the network (--no-probe)",
    }
    assert "this machine's clock" in report["fine"]
    assert said[f"node {HOLDER}"]["message"].startswith("its agent could not be asked: ")

    poor = Plugin(controller_kubeconfig)
    _, report = poor.document("doctor")
    lacking = {each["remedy"] for each in report["findings"] if each["subject"] == "access"}
    assert lacking == {
        f"ask for the right: kubectl auth can-i list {kind} -A"
        for kind in ("pods", "leases.coordination.k8s.io", "deployments.apps", "daemonsets.apps")
    }
    assert {each["why"] for each in report["unchecked"]} >= {"these credentials may not list pods"}
    assert "other load balancers" not in report["fine"]
    absent = poor.run("doctor", "--node", "nowhere")
    assert (absent.returncode, absent.stderr) == (Exit.NOT_FOUND, "Error: there is no Node nowhere\n")


@pytest.mark.parametrize(
    ("change", "state", "hint"),
    [
        ({"type": "ClusterIP"}, "NotServed", "Set spec.type to LoadBalancer"),
        ({"loadBalancerClass": "example.com/lb"}, "NotServed", "Herald leaves it alone"),
    ],
    ids=["type", "class"],
)
def test_a_service_that_is_none_of_heralds_is_told_so(
    tenant: Tenant, api_server: ApiServer, controller: Replica, change: dict[str, Any], state: str, hint: str
) -> None:
    tenant.service("web", **change)
    story = Plugin(api_server.kubeconfig).story(tenant.namespace, "web")
    assert (story.state, story.works, story.allocation.walks) == (state, False, ())
    assert story.advice[0].startswith(hint)
