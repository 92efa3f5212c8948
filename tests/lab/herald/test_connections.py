"""Connections that were opened before their address moves to another node go on, byte for byte."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

import pytest

from lab.waiting import wait_for
from tests.lab.herald.product import PATIENCE
from tests.lab.herald.test_handover import cordoned, upgraded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from lab.host import Host
    from tests.lab.herald.conftest import Shop
    from tests.lab.herald.lan import Lan
    from tests.lab.herald.product import Product

REQUEST = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
ANSWERS = 20_000
"""In one download: some megabytes."""
PIECE, EVERY = 4096, 0.04
"""Octets that the download takes at a time, and seconds between two: 100 kB/s, so that it is under way for long."""
WINDOW = 16_384
"""Octets that the client's kernel takes beyond that: the rest waits on the other side of the move."""


class Session:
    """A connection that is kept alive: each answer is to be the very first again, so the same pod's."""

    def __init__(self, client: Host, address: str) -> None:
        self._socket = client.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        self._socket.connect((address, 80))
        self._reader = self._socket.makefile("rb")
        self.first = self.ask()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._socket.close()

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def ask(self) -> bytes:
        """One request and its answer. Raises OSError."""
        self.send(REQUEST)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._reader.readline()
            if not line:
                raise ConnectionResetError("the connection has ended")
            head += line
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        return head + self.read(int(length[1]))

    def read(self, octets: int) -> bytes:
        """So many, or fewer at the end of the connection. Raises OSError."""
        return self._reader.read(octets)


class Download:
    """All is asked for at once, and taken slowly until `hurry`; so the client says nothing more but what it has."""

    def __init__(self, client: Host, address: str) -> None:
        self._session = Session(client, address)
        self._hurried = threading.Event()
        self._taken = bytearray()
        self._thread = threading.Thread(target=self._take)

    @property
    def expected(self) -> bytes:
        return self._session.first * ANSWERS

    def __enter__(self) -> Self:
        self._session.send(REQUEST * ANSWERS)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._hurried.set()
        self._thread.join()
        self._session.__exit__()

    def is_under_way(self) -> bool:
        return 0 < len(self._taken) < len(self.expected)

    def finish(self) -> bytes:
        """Take the rest at once; all of it."""
        self._hurried.set()
        self._thread.join()
        return bytes(self._taken)

    def _take(self) -> None:
        while (left := len(self.expected) - len(self._taken)) > 0:
            try:
                piece = self._session.read(min(left, PIECE))
            except OSError:
                return
            if not piece:
                return
            self._taken += piece
            self._hurried.wait(EVERY)


@contextmanager
def connected(client: Host, addresses: list[str]) -> Iterator[tuple[list[Session], list[Session], list[Download]]]:
    """To each address: sessions that are busy, one that is idle, and a download."""
    with ExitStack() as stack:
        yield (
            [stack.enter_context(Session(client, each)) for each in addresses for _ in range(4)],
            [stack.enter_context(Session(client, each)) for each in addresses],
            [stack.enter_context(Download(client, each)) for each in addresses],
        )


def handed_to(herald: Product, node: str, address: str) -> str:
    """The node to which another one hands what it does not know of an address; empty if to none."""
    table = ("ip6" if ":" in address else "ip", "heraldlb-detour", "gateways")
    listed = herald.lab.nodes[node].exec(["nft", "list", "map", *table], check=False).stdout
    found = re.search(rf"{re.escape(address)} : ([0-9a-f:.]+)", listed)
    hosts = {str(ip): name for name, host in herald.lab.nodes.items() for ip in (host.ipv4, host.ipv6)}
    return hosts[found[1]] if found else ""


def _await_move(herald: Product, lan: Lan, node: str, addresses: list[str], since: float) -> None:
    others = herald.macs(node)

    def moved() -> bool:
        return all(any(said.mac in others for said in lan.announcements(each, since)) for each in addresses)

    wait_for(f"others than {node} to announce {addresses}", moved, PATIENCE)


@pytest.mark.parametrize(
    "change", [pytest.param(cordoned, id="cordon"), pytest.param(upgraded, id="agent-upgrade")]
)
@pytest.mark.usefixtures("settled")
def test_sessions_and_downloads_outlive_a_planned_change(
    change: Callable[[Product, str], AbstractContextManager[None]], shop: Shop, herald: Product, lan: Lan
) -> None:
    node, *addresses = shop.pair()
    with connected(herald.lab.client, addresses) as (busy, idle, downloads):
        wait_for("the downloads to begin", lambda: all(each.is_under_way() for each in downloads), PATIENCE)
        began = time.monotonic()
        with change(herald, node):
            _await_move(herald, lan, node, addresses, began)
            # All that the client sends goes to the next node from here on, if it did not before.
            wait_for(f"the client to forget {node}", lambda: _has_forgotten(herald, node, addresses), PATIENCE)
            for _ in range(20):
                for session in busy:
                    assert session.ask() == session.first
            for session in idle:
                assert session.ask() == session.first
            assert all(each.is_under_way() for each in downloads), "too fast to prove anything"
            for download in downloads:
                assert download.finish() == download.expected
    herald.wait_healthy()
    lan.await_sole_answerer(addresses, herald.macs())


def _has_forgotten(herald: Product, node: str, addresses: list[str]) -> bool:
    known = herald.lab.client.exec(["ip", "neigh", "show"]).stdout.splitlines()
    return not any(herald.mac(node) in line for line in known for each in addresses if line.startswith(f"{each} "))


@pytest.mark.usefixtures("settled")
def test_a_former_owner_that_dies_is_handed_nothing_more(shop: Shop, herald: Product, lan: Lan) -> None:
    node, *addresses = shop.pair()
    began = time.monotonic()
    with cordoned(herald, node):
        _await_move(herald, lan, node, addresses, began)
        owners = {each: herald.await_owner(each, *(set(herald.lab.nodes) - {node})) for each in addresses}

        def handed() -> set[str]:
            return {handed_to(herald, owner, address) for address, owner in owners.items()}

        wait_for(f"the rest to be handed to {node}", lambda: handed() == {node}, PATIENCE)
        herald.lab.power_off(node)
        try:
            wait_for(f"nothing to be handed to {node}", lambda: node not in handed(), PATIENCE)
            for address in addresses:
                herald.fetch(address)
        finally:
            herald.lab.power_on(node)
            herald.lab.wait_ready()
    herald.wait_healthy()
    lan.await_sole_answerer(addresses, herald.macs())


def test_before_anything_moves_every_node_knows_whom_to_hand_to(shop: Shop, herald: Product) -> None:
    owners = herald.announcers()

    def known() -> bool:
        return all(
            handed_to(herald, node, address) == owners[address]
            for address in shop.addresses
            for node in herald.lab.nodes
            if node != owners[address]
        )

    wait_for("every node to know", known, PATIENCE)
