"""`kubectl herald` in a whole cluster: what it tells of a Service is what its clients find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from heraldlb import __version__
from heraldlb.cli.kubectl.exits import Exit
from heraldlb.examination.codec import decode, encode
from heraldlb.examination.facts import NodeFacts
from heraldlb.examination.survey import Question, Survey
from lab.cluster import KubectlError
from lab.host import Host
from lab.waiting import wait_for
from lab.workloads import service
from tests.lab.herald.conftest import SHOP, Shop
from tests.lab.herald.lan import Lan
from tests.lab.herald.product import AGENT_METRICS_PORT, Product

SPARE = "192.168.100.250"
"""Of the pool, and nobody's."""
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
BLOCK = """\
table inet firewall {{
  chain input {{
    type filter hook input priority filter
    ip saddr {ipv4} udp dport 7947 drop
    ip6 saddr {ipv6} udp dport 7947 drop
  }}
}}
"""


def herald_cli(product: Product, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit status and JSON of the console script, with the administrator's credentials."""
    program = str(Path(sys.executable).with_name("kubectl-herald"))
    environment = os.environ | {"KUBECONFIG": str(product.lab.kubeconfig)}
    done = subprocess.run(
        [program, *arguments, "--output=json"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_service_that_works_is_explained_down_to_the_requests_for_its_address(
    shop: Shop, herald: Product, lan: Lan
) -> None:
    door = shop.doors[0]
    owner = herald.await_owner(door.ipv4)
    lan.ask_for(0.2, door.ipv4)

    status, story = herald_cli(herald, "explain", f"{SHOP}/{door.name}")

    assert (status, story["state"], story["works"]) == (Exit.FINE, "Announced", True), story
    assert story["allocation"]["decision"] == story["allocation"]["said"]
    chapter = next(each for each in story["addresses"] if each["address"] == door.ipv4)
    assert {each["node"]: each["standing"] for each in chapter["nodes"]} == {
        name: "Announces" if name == owner else "May" for name in herald.lab.nodes
    }
    assert chapter["unasked"] == {}
    counted = chapter["counters"][owner]
    assert counted["requests"] >= counted["answers"] >= 1, counted
    assert story["forwarding"]["forwarders"][owner] == "Herald"
    assert {sum(port["endpoints"].values()) for port in story["forwarding"]["ports"]} == {len(herald.lab.nodes)}

    status, screen = herald_cli(herald, "status")
    wrong = [each for each in screen["findings"] if each["severity"] == "Wrong"]
    assert (status, wrong) == (Exit.FINE, [])
    assert [agent["ready"] for agent in screen["herald"]["agents"]] == [True] * len(herald.lab.nodes)
    assert screen["herald"]["leadership"]["holder"] in {
        each["pod"].partition("/")[2] for each in screen["herald"]["controllers"]
    }


def test_an_agent_tells_through_the_api_server_what_it_sees_of_its_node_and_whom_it_finds_on_its_network(
    shop: Shop, herald: Product
) -> None:
    door = shop.doors[0]
    owner = herald.await_owner(door.ipv4)
    pods = herald.lab.items("pods", "-n", "kube-system", "-l", "app.kubernetes.io/component=agent")
    [pod] = [each["metadata"]["name"] for each in pods if each["spec"]["nodeName"] == owner]
    path = f"/api/v1/namespaces/kube-system/pods/{pod}:{AGENT_METRICS_PORT}/proxy/examination"

    facts = decode(NodeFacts, json.loads(herald.lab.kubectl("get", "--raw", path)))

    assert (facts.node, facts.version, facts.kernel) == (owner, __version__, os.uname().release)
    link = facts.link("eth0")
    assert link is not None
    assert (link.mac, link.announces, link.up, link.carrier) == (herald.mac(owner), True, True, True)
    assert herald.lab.nodes[owner].ipv4 in link.addresses
    assert facts.settings["net.ipv4.ip_forward"] == "1"
    assert "net.ipv4.conf.eth0.rp_filter" in facts.settings
    assert not [each for each in facts.hindrances if each.blocking]
    assert facts.forwarding.active
    assert {peer.name for peer in facts.speaker.peers if peer.heard and peer.expected and peer.alive} == {
        name for name in herald.lab.nodes if name != owner
    }
    [announced] = [each for each in facts.speaker.addresses if str(each.address) == door.ipv4]
    assert announced.link == "eth0"
    assert announced.announcements >= 1

    client = herald.lab.client
    body = json.dumps(encode(Question((client.ipv4, announced.address), dhcp=True)))
    found = decode(Survey, json.loads(herald.lab.kubectl("create", "--raw", path, "-f", "-", input=body)))
    assert [(each.address, each.mac) for each in found.answerers] == [(client.ipv4, client.mac_address)]
    assert [each.address for each in found.skipped] == [announced.address]
    assert ("eth0" in found.dhcp_links, found.offers, found.troubles) == (True, (), ())


def test_a_service_without_endpoints_is_explained_in_the_agents_words(herald: Product, namespace: str) -> None:
    herald.lab.apply(service("idle", namespace, selector={"app": "nobody"}))
    address = herald.exposed(namespace, "idle").ipv4

    def refused() -> bool:
        conditions = herald.record(address).get("status", {}).get("conditions", ())
        return any(each["reason"] == "NoEligibleNode" for each in conditions)

    wait_for("agents to say that none may announce it", refused, 60)
    status, story = herald_cli(herald, "explain", "idle", "-n", namespace)

    assert (status, story["state"], story["works"]) == (Exit.WRONG, "NotAnnounced", False)
    assert {tuple(each["why"]) for each in story["addresses"][0]["nodes"]} == {
        ("the Service has no ready endpoint",)
    }
    assert all("no pod matches its selector" in port["problem"] for port in story["forwarding"]["ports"])


@contextmanager
def had_by(host: Host, address: str) -> Iterator[None]:
    """The host's own kernel has it."""
    host.exec(["ip", "addr", "add", f"{address}/32", "dev", "eth0"])
    try:
        yield
    finally:
        host.exec(["ip", "addr", "del", f"{address}/32", "dev", "eth0"])


@contextmanager
def not_forwarding(node: Host) -> Iterator[None]:
    node.exec(["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"])
    try:
        yield
    finally:
        node.exec(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])


@contextmanager
def deaf_to(node: Host, other: Host) -> Iterator[None]:
    """A firewall on the node drops the other's heartbeats."""
    node.exec(["nft", "-f", "-"], input=BLOCK.format(ipv4=other.ipv4, ipv6=other.ipv6))
    try:
        yield
    finally:
        node.exec(["nft", "delete", "table", "inet", "firewall"])


@contextmanager
def all_excluded(product: Product) -> Iterator[None]:
    product.lab.kubectl("label", "nodes", "--all", f"{EXCLUDED}=")
    try:
        yield
    finally:
        product.lab.kubectl("label", "nodes", "--all", f"{EXCLUDED}-")


@contextmanager
def viewer(product: Product) -> Iterator[list[str]]:
    """Somebody who has the role `view` for the whole cluster: how kubectl speaks in his name."""
    product.lab.kubectl("create", "clusterrolebinding", "viewer", "--clusterrole=view", "--user=viewer")
    try:
        yield ["--as=viewer"]
    finally:
        product.lab.kubectl("delete", "clusterrolebinding", "viewer")


def examined(product: Product, *arguments: str) -> tuple[int, set[tuple[str, str]], dict[str, Any]]:
    """Exit status of the doctor, subjects and messages of what is wrong, and the whole."""
    status, report = herald_cli(product, "doctor", *arguments)
    wrong = {(each["subject"], each["message"]) for each in report["findings"] if each["severity"] == "Wrong"}
    return status, wrong, report


def test_the_doctor_finds_nothing_wrong_with_what_works(shop: Shop, herald: Product) -> None:
    def alone() -> bool:
        """Other tests' namespaces take their time to go."""
        services = herald.lab.items("services", "-A")
        ours = [each for each in services if each["spec"]["type"] == "LoadBalancer"]
        return {each["metadata"]["namespace"] for each in ours} == {SHOP}

    wait_for("the Services of others to go", alone, 60)
    status, wrong, report = examined(herald)

    assert (status, wrong, report["unchecked"]) == (Exit.FINE, set(), []), report
    assert set(report["nodes"]) == set(herald.lab.nodes)
    [probed] = [title for title in report["fine"] if title.startswith("hosts that have addresses of a pool")]
    count = int(probed.partition("(")[2].split()[0])
    # All 50 IPv4 addresses but the shop's, and of the 256 of IPv6 as many as fit in.
    assert 50 - len(shop.doors) < count <= 256
    assert any(title.startswith("DHCP servers (asked on eth0 of ") for title in report["fine"])


def test_the_doctor_names_everything_that_is_broken_at_once(shop: Shop, herald: Product) -> None:
    first, second, third = herald.lab.nodes.values()
    client = herald.lab.client
    with ExitStack() as broken:
        broken.enter_context(had_by(client, SPARE))
        broken.enter_context(not_forwarding(third))
        broken.enter_context(deaf_to(second, first))
        broken.enter_context(all_excluded(herald))

        def told_of_heartbeats() -> bool:
            """Not before the last heartbeat that got through is old."""
            way = f"heartbeats do not get through from {first.name} to {second.name}, but the other way round"
            return any(message.startswith(way) for _, message in examined(herald, "--no-probe")[1])

        wait_for("the doctor to notice the blocked port", told_of_heartbeats, 60)
        status, wrong, report = examined(herald)
        alone, of_third, _ = examined(herald, "--no-probe", "--node", third.name)

    assert status == Exit.WRONG
    said = dict(wrong)
    assert f"{SPARE} is at {client.mac_address}, on eth0 of " in said["pool lan"], report
    assert said[f"node {third.name}"].startswith("net.ipv4.ip_forward is 0: IPv4 packets are not forwarded to pods")
    assert said["membership"].startswith("heartbeats do not get through from ")
    assert said["nodes"].startswith("none may announce anything (")
    assert EXCLUDED in said["nodes"]
    remedies = {each["subject"]: each["remedy"] for each in report["findings"] if each["severity"] == "Wrong"}
    assert remedies["pool lan"].endswith(f'spec.excluded: ["{SPARE}"]')
    assert remedies["membership"].startswith("open UDP port 7947 between all nodes")
    assert (alone, {subject for subject, _ in of_third}) == (Exit.WRONG, {f"node {third.name}"})


def test_who_may_view_the_cluster_may_read_pools_and_write_none(herald: Product) -> None:
    with viewer(herald) as name:
        wait_for("the role to be aggregated", lambda: _reads_pools(herald, name), 60)
        with pytest.raises(KubectlError, match="forbidden"):
            herald.lab.kubectl("delete", "addresspool", "lan", *name)


def _reads_pools(product: Product, name: list[str]) -> bool:
    try:
        return "lan" in product.lab.kubectl("get", "addresspools", "-o", "name", *name)
    except KubectlError:
        return False
