"""What the chart tells the user of the cluster that it is installed into, by looking."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import Cluster
from lab.waiting import wait_for

CHART = Path(__file__).parents[3] / "charts" / "heraldlb"
ENFORCE = "pod-security.kubernetes.io/enforce"
POOL = {
    "apiVersion": "heraldlb.io/v1beta1",
    "kind": "AddressPool",
    "metadata": {"name": "noted"},
    "spec": {"addresses": ["192.0.2.1"]},
}
METALLB = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "ipaddresspools.metallb.io"},
    "spec": {
        "group": "metallb.io",
        "scope": "Namespaced",
        "names": {"kind": "IPAddressPool", "plural": "ipaddresspools"},
        "versions": [
            {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}
NEXT = """
  kubectl create deployment web --image=nginx
  kubectl expose deployment web --type=LoadBalancer --port=80
  kubectl get service web
"""

Notes = Callable[..., str]


@pytest.fixture(scope="module")
def namespace(api_server: Cluster) -> Iterator[str]:
    name = f"notes-{secrets.token_hex(4)}"
    definitions = [yaml.safe_load(path.read_text()) for path in (CHART / "crds").glob("*.yaml")]
    api_server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, *definitions)
    for definition in definitions:
        api_server.wait_until(f"crd/{definition['metadata']['name']}", "condition=Established")
    yield name
    api_server.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def notes(api_server: Cluster, namespace: str) -> Notes:
    def dry_run(*settings: str, namespace: str = namespace) -> str:
        options = [f"--namespace={namespace}", "--dry-run=server", *(f"--set={each}" for each in settings)]
        return api_server.helm("install", "noted", str(CHART), *options).partition("\nNOTES:\n")[2]

    return dry_run


@contextmanager
def there(cluster: Cluster, body: dict[str, Any]) -> Iterator[None]:
    cluster.apply(body)
    try:
        yield
    finally:
        cluster.kubectl("delete", body["kind"].lower(), body["metadata"]["name"], *_placed(body))


def _placed(body: dict[str, Any]) -> list[str]:
    return [f"--namespace={body['metadata']['namespace']}"] if "namespace" in body["metadata"] else []


def test_without_a_pool_it_says_how_to_make_one_and_with_one_what_comes_next(
    notes: Notes, api_server: Cluster
) -> None:
    assert not api_server.items("addresspools"), "what other tests made is gone"
    said = notes()
    assert "There is NO POOL yet." in said
    assert "kind: AddressPool" in said
    with there(api_server, POOL):
        assert "1 AddressPool of yours gives addresses." in notes()
    said = notes("pool.addresses={192.168.1.240-192.168.1.250,fd00:1::/120}")
    assert 'The pool "default" gives 192.168.1.240-192.168.1.250, fd00:1::/120. Try it:\n' + NEXT in said
    assert "NO POOL" not in said
    assert "WARNING" not in said


def test_the_next_command_asks_for_the_class_where_herald_is_not_the_default(notes: Notes) -> None:
    said = notes("defaultClass=false", "loadBalancerClass=example.com/lb")
    assert """--overrides='{"spec": {"loadBalancerClass": "example.com/lb"}}'""" in said


def test_a_namespace_that_would_refuse_the_agents_is_warned_of(
    notes: Notes, api_server: Cluster, namespace: str
) -> None:
    remedy = f"kubectl label namespace {namespace} {ENFORCE}=privileged"
    assert f"If their pods are refused by Pod Security admission, allow them here:\n\n  {remedy}\n" in notes()
    assert "Pod Security" not in notes(namespace="kube-system")
    api_server.kubectl("label", "namespace", namespace, f"{ENFORCE}=restricted")
    said = notes()
    assert 'WARNING: this namespace enforces the Pod Security standard "restricted"' in said
    assert f"{remedy} --overwrite" in said
    api_server.kubectl("label", "namespace", namespace, f"{ENFORCE}=privileged", "--overwrite")
    assert "Pod Security" not in notes()


@pytest.mark.parametrize(
    ("settings", "warns"),
    [
        pytest.param({"mode": "ipvs", "ipvs": {"strictARP": False}}, True, id="not-strict"),
        pytest.param({"mode": "ipvs"}, True, id="unset"),
        pytest.param({"mode": "ipvs", "ipvs": {"strictARP": True}}, False, id="strict"),
        pytest.param({"mode": "nftables", "ipvs": {"strictARP": False}}, False, id="another-mode"),
    ],
)
def test_kube_proxy_s_ipvs_without_strict_arp_is_warned_of(
    settings: dict[str, Any], warns: bool, notes: Notes, api_server: Cluster
) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
        "data": {"config.conf": yaml.safe_dump(settings)},
    }
    with there(api_server, body):
        assert ("strictARP: true" in notes()) is warns


def test_metallb_beside_it_is_warned_of_unless_each_has_its_own_class(notes: Notes, api_server: Cluster) -> None:
    with there(api_server, METALLB):
        wait_for("the warning", lambda: "WARNING: MetalLB is installed in this cluster." in notes())
        assert "--set defaultClass=false" in notes()
        assert "MetalLB" not in notes("defaultClass=false")
