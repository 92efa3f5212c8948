"""The lab's wires: who reaches whom, over both families, and what a cut cuts."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.host import Host
    from lab.lab import Lab

PORT = 5001
FAMILIES = [pytest.param(socket.AF_INET, id="IPv4"), pytest.param(socket.AF_INET6, id="IPv6")]


def _address(host: Host, family: socket.AddressFamily) -> str:
    return str(host.ipv4 if family == socket.AF_INET else host.ipv6)


@contextmanager
def _listening(host: Host, family: socket.AddressFamily) -> Iterator[None]:
    with host.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_address(host, family), PORT))
        listener.listen()
        yield


def _reaches(one: Host, other: Host, family: socket.AddressFamily) -> bool:
    try:
        one.connect(_address(other, family), PORT, timeout=0.5).close()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cut_between_two_hosts_leaves_all_other_traffic(lab: Lab, family: socket.AddressFamily) -> None:
    one, other = lab.nodes["node-1"], lab.nodes["node-2"]
    with _listening(other, family):
        assert _reaches(one, other, family)
        lab.cut("node-1", "node-2")
        try:
            assert not _reaches(one, other, family)
            assert _reaches(lab.nodes["node-3"], other, family)
            assert _reaches(lab.client, other, family)
        finally:
            lab.heal("node-1", "node-2")
        assert _reaches(one, other, family)


def test_healing_what_is_whole_changes_nothing(lab: Lab) -> None:
    lab.heal("node-1", "client")
    with _listening(lab.client, socket.AF_INET):
        assert _reaches(lab.nodes["node-1"], lab.client, socket.AF_INET)


def test_a_cut_link_has_no_carrier(lab: Lab) -> None:
    def carrier() -> str:
        return lab.client.exec(["cat", "/sys/class/net/eth0/carrier"]).stdout.strip()

    assert carrier() == "1"
    lab.cut_link("client")
    try:
        assert carrier() == "0"
    finally:
        lab.heal_link("client")
    wait_for("the carrier to come back", lambda: carrier() == "1")


def test_the_client_has_no_route_to_pods(lab: Lab) -> None:
    with pytest.raises(OSError, match="unreachable"):
        lab.client.connect("10.244.1.2", 80)


def test_the_machine_has_no_address_of_the_lab(lab: Lab) -> None:
    with pytest.raises(OSError, match="assign requested address"):
        socket.create_server((str(lab.client.ipv4), 0))
