"""Where node ports are served, and settings that cannot be meant."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from heraldlb.api.nodes import Node
from heraldlb.forwarding.node import ForwardingSettings, frame_of, view_node
from tests.unit.forwarding.builders import addresses

NODE = Node(
    "n1",
    internal_ips=addresses("192.168.0.1", "192.168.0.2", "fd00::1"),
    pod_cidrs=("10.244.1.0/24", "nonsense", "fd00:1::/64"),
    labels={"topology.kubernetes.io/zone": "a"},
)
INTERFACES = addresses("127.0.0.1", "192.168.0.1", "10.9.0.1", "fe80::1", "fd00::1", "fd00:9::1")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        pytest.param(("primary",), ("192.168.0.1", "fd00::1"), id="the Node's first address of each family"),
        pytest.param(
            ("10.9.0.0/16",), ("10.9.0.1", "fd00::1", "fd00:9::1"), id="a family without a CIDR is unlimited"
        ),
        pytest.param(("10.9.0.0/16", "fd00:9::/32"), ("10.9.0.1", "fd00:9::1"), id="CIDRs of both families"),
        pytest.param(("0.0.0.0/0", "::/0"), ("10.9.0.1", "192.168.0.1", "fd00::1", "fd00:9::1"), id="no loopback"),
    ],
)
def test_node_port_addresses(setting: tuple[str, ...], expected: tuple[str, ...]) -> None:
    view = view_node(NODE, ForwardingSettings(node_port_addresses=setting), INTERFACES)
    assert view.node_port_addresses == addresses(*expected)


def test_pods_are_told_by_the_nodes_own_cidrs_unless_the_cluster_is_given() -> None:
    own = view_node(NODE, ForwardingSettings())
    assert own.pod_cidrs == (ip_network("10.244.1.0/24"), ip_network("fd00:1::/64"))
    assert view_node(NODE, ForwardingSettings(cluster_cidrs=("10.0.0.0/8",))).pod_cidrs == (
        ip_network("10.0.0.0/8"),
    )
    assert own.zone == "a"


def test_the_mark_is_the_bit_that_was_chosen() -> None:
    settings = ForwardingSettings(masquerade_bit=20)
    assert frame_of(view_node(NODE, settings), settings).masquerade_mark == 0x100000


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"node_port_addresses": ()}, "nodePortAddresses is empty"),
        ({"node_port_addresses": ("primary", "10.0.0.0/8")}, "mixes"),
        ({"node_port_addresses": ("eth0",)}, 'nodePortAddresses: "eth0" is not a CIDR'),
        ({"cluster_cidrs": ("pods",)}, 'clusterCIDRs: "pods" is not a CIDR'),
        ({"masquerade_bit": 32}, "masqueradeBit 32"),
    ],
)
def test_impossible_settings_are_refused_with_the_field(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ForwardingSettings(**fields)  # type: ignore[arg-type]
