"""Fields of a Service that say who is led where, on a whole cluster: what agents make of them together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.waiting import wait_for
from lab.workloads import one_shot
from tests.lab.herald.product import PATIENCE

if TYPE_CHECKING:
    from lab.host import Host
    from lab.lab import Lab
    from tests.lab.herald.product import Product

ELSEWHERE = ["198.51.100.0/24", "2001:db8:1::/48"]
IMPATIENT = 0.5
"""Seconds for one connection; too short, it can only hide that somebody is let in."""


def test_affinity_holds_on_all_nodes_and_source_ranges_shut_out_at_the_external_address(
    herald: Product, lab: Lab, namespace: str
) -> None:
    herald.run(namespace, replicas=3)
    door = herald.expose(namespace, "web", sessionAffinity="ClientIP")
    for version, address in zip((4, 6), door.addresses, strict=True):
        herald.fetch(address)
        own = [str(host.ipv4 if version == 4 else host.ipv6) for host in lab.nodes.values()]
        # All hash alike, so that the client keeps its pod when the address moves to any of them.
        dialled = [(address, 80), *((node, door.node_port) for node in own)]
        for node in own:
            herald.fetch(node, door.node_port)
        assert len({lab.client.http_get(*target).split()[2] for target in dialled for _ in range(5)}) == 1
    patch = json.dumps({"spec": {"loadBalancerSourceRanges": ELSEWHERE}})
    lab.kubectl("patch", "service", "web", "-n", namespace, "--type=merge", "-p", patch)
    for address in door.addresses:
        wait_for("the client to be shut out", lambda address=address: _is_silent(lab.client, address, 80))  # type: ignore[misc]
    for host in lab.nodes.values():
        assert lab.client.http_get(str(host.ipv4), door.node_port).startswith("Hello")


DIAL = """
import json, socket, sys
def end(address, port):
    try:
        socket.create_connection((address, port), 2).close()
    except OSError as error:
        return type(error).__name__
    return "taken"
served, *others = [tuple(target) for target in json.loads(sys.argv[1])]
while end(*served) != "taken":
    pass
print(json.dumps([end(*target) for target in others]))
"""


def test_a_cluster_ip_refuses_other_ports_and_what_the_cluster_has_for_services_is_known_to_every_node(
    herald: Product, lab: Lab, namespace: str
) -> None:
    herald.run(namespace, replicas=1)
    herald.expose(namespace, "web")
    own = lab.get("service", "web", "-n", namespace)["spec"]["clusterIPs"]
    targets = [(own[0], 80), *((address, 81) for address in own)]
    lab.apply(one_shot("dialler", ["python", "-c", DIAL, json.dumps(targets)], namespace))

    def done() -> bool:
        return bool(lab.get("pod", "dialler", "-n", namespace)["status"].get("phase") == "Succeeded")

    wait_for("the pod to have dialled", done, PATIENCE)
    assert json.loads(lab.log("dialler", namespace)) == ["ConnectionRefusedError"] * len(own)
    # Nodes of the lab have no default route, on which addresses of nobody would leave; so here the rules must do.
    for cidr in (cidr for each in lab.items("servicecidrs") for cidr in each["spec"]["cidrs"]):
        ip = "ip6" if ":" in cidr else "ip"
        for host in lab.nodes.values():
            rules = host.exec(["nft", "list", "chain", ip, "heraldlb", "unallocated"]).stdout
            assert f"{ip} daddr {cidr} drop" in rules


def _is_silent(host: Host, address: str, port: int) -> bool:
    """Whether a connection is neither taken nor refused."""
    try:
        host.connect(address, port, IMPATIENT).close()
    except TimeoutError:
        return True
    except OSError:
        return False
    return False
