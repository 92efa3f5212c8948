"""What runs beside Herald in most clusters, itself: CoreDNS behind kube-dns, and nginx as an ingress proxy.

There is no kube-proxy: every ClusterIP on the way is forwarded by Herald, that of the API server included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from lab import binaries, cluster_dns
from lab.kubelet.images import NGINX, PAUSE
from lab.waiting import wait_for
from lab.workloads import one_shot, service
from tests.lab.herald.product import PATIENCE
from tests.lab.herald.resolver import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.host import Host
    from lab.lab import Lab
    from tests.lab.herald.product import Product
    from tests.lab.herald.resolver import Transport

Body = dict[str, Any]

_SERVERS: tuple[tuple[str, Transport], ...] = (
    (cluster_dns.IPV4, "UDP"),
    (cluster_dns.IPV4, "TCP"),
    (cluster_dns.IPV6, "UDP"),
    (cluster_dns.IPV6, "TCP"),
)

# The backend tells what it was told of the client, by the proxy before it.
_NGINX = """
pid /tmp/nginx.pid;
events {}
http {
    access_log /dev/stdout;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    scgi_temp_path /tmp/scgi;
    uwsgi_temp_path /tmp/uwsgi;
    server {
        listen 8080;
        listen [::]:8080;
        resolver DNS_SERVER ipv6=off;
        location / {
            set $backend BACKEND;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_pass http://$backend;
        }
    }
    server {
        listen 8081;
        location / {
            return 200 "$http_x_real_ip asked $hostname";
        }
    }
}
"""


@dataclass(frozen=True, slots=True)
class Names:
    """Asks CoreDNS from a pod, in a namespace of Services."""

    asking: Host
    namespace: str

    def fqdn(self, service_name: str) -> str:
        return f"{service_name}.{self.namespace}.svc.{cluster_dns.DOMAIN}."

    def expect(self, service_name: str, kind: str, wanted: set[str]) -> None:
        """Every address of kube-dns answers so by every transport, once CoreDNS has heard of the objects."""
        name = self.fqdn(service_name)
        for server, transport in _SERVERS:
            what = f"{kind} {name} to be {wanted} by {transport} from {server}"
            wait_for(what, lambda at=server, by=transport: self._ask(at, name, kind, by) == wanted, PATIENCE)  # type: ignore[misc]

    def _ask(self, server: str, name: str, kind: str, transport: Transport) -> frozenset[str]:
        try:
            return resolve(self.asking, server, name, kind, transport)
        except OSError:
            return frozenset()


@pytest.fixture(scope="module")
def dns(installed: Product) -> Iterator[None]:
    lab = installed.lab
    binaries.find("coredns")
    manifests = cluster_dns.manifests()
    lab.apply(*manifests)
    lab.wait_for_rollout(f"deployment/{cluster_dns.NAME}", cluster_dns.NAMESPACE)
    yield
    for body in manifests:
        lab.kubectl("delete", body["kind"], body["metadata"]["name"], "-n", cluster_dns.NAMESPACE, "--wait=false")


@pytest.fixture
def names(lab: Lab, namespace: str, dns: None) -> Names:
    lab.apply(one_shot("asking", [], namespace, image=PAUSE))
    lab.wait_until("pod/asking", "condition=Ready", "-n", namespace)
    return Names(lab.pod("asking", namespace), namespace)


def _addresses(bodies: list[Body], path: str, entry: str = "ip") -> tuple[set[str], set[str]]:
    every = {each[entry] for body in bodies for each in body["status"][path]}
    return {each for each in every if ":" not in each}, {each for each in every if ":" in each}


def test_pods_find_services_by_name_and_reach_them(herald: Product, lab: Lab, namespace: str, names: Names) -> None:
    herald.run(namespace)
    lab.apply(
        service("web", namespace, kind="ClusterIP"),
        service("each", namespace, kind="ClusterIP", clusterIP="None", selector={"app": "web"}),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "elsewhere", "namespace": namespace},
            "spec": {"type": "ExternalName", "externalName": "shop.example.com"},
        },
    )
    ipv4, ipv6 = lab.get("service", "web", "-n", namespace)["spec"]["clusterIPs"]
    names.expect("web", "A", {ipv4})
    names.expect("web", "AAAA", {ipv6})
    pods_ipv4, pods_ipv6 = _addresses(lab.items("pods", "-n", namespace, "-l", "app=web"), "podIPs")
    names.expect("each", "A", pods_ipv4)
    names.expect("each", "AAAA", pods_ipv6)
    names.expect("elsewhere", "CNAME", {"shop.example.com."})
    for address in (ipv4, ipv6, *pods_ipv4, *pods_ipv6):
        assert herald.fetch(address, 80 if address in (ipv4, ipv6) else 8080, names.asking).startswith("Hello from")


def test_an_ingress_proxy_with_local_policy_sees_the_clients_own_address(
    herald: Product, lab: Lab, namespace: str, names: Names
) -> None:
    backend = names.fqdn("backend").rstrip(".")
    configuration = _NGINX.replace("DNS_SERVER", cluster_dns.IPV4).replace("BACKEND", backend)
    lab.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "nginx", "namespace": namespace},
            "data": {"nginx.conf": configuration},
        },
        _nginx("proxy", namespace),
        _nginx("backend", namespace),
        service("backend", namespace, kind="ClusterIP", ports=[{"port": 80, "targetPort": 8081}]),
    )
    for name in ("proxy", "backend"):
        lab.wait_for_rollout(f"deployment/{name}", namespace)
    door = herald.expose(namespace, "proxy", externalTrafficPolicy="Local")
    [proxy] = lab.items("pods", "-n", namespace, "-l", "app=proxy")
    for address, client in zip(door.addresses, (str(lab.client.ipv4), str(lab.client.ipv6)), strict=True):
        assert herald.fetch(address).startswith(f"{client} asked backend-")
        assert herald.owner(address) == proxy["spec"]["nodeName"]
        assert f"{client} - - " in lab.log(proxy["metadata"]["name"], namespace)


def _nginx(name: str, namespace: str) -> Body:
    labels = {"app": name}
    container = {
        "name": "nginx",
        "image": NGINX,
        "volumeMounts": [{"name": "config", "mountPath": "/etc/nginx"}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    volume = {"name": "config", "configMap": {"name": "nginx"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "volumes": [volume]},
            },
        },
    }
