"""A node that sends more than its link takes: what its speaker says does not wait behind that."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from scapy.layers.inet import UDP

from lab.namespaces import Surroundings, named, run_in
from tests.lab.speaker_net import ADDRESSES, ALL, CLIENT, MAC, NODES, Lan, answered_by, question, run

RATE = "1mbit"
SIZE = 1_400
"""Octets: at that rate a frame takes 11 ms."""
QUEUED = 100
"""Frames that always wait on the link, at least: more than a second's worth."""
TIMEOUT = 0.8
"""Seconds of silence after which a node is dead: less than that, and more than a busy machine makes of silence."""
BUFFER = 3 * SIZE * QUEUED
DISCARD = 9

_SO_SNDBUFFORCE = 32


@contextmanager
def full_link(lan: Lan, node: str) -> Iterator[None]:
    """Meanwhile the node's link is slow, and a process on it sends as much as it can."""

    def tc(command: str) -> None:
        run("ip", "netns", "exec", lan.namespace(node), "tc", "qdisc", *command.split())

    tc(f"add dev eth0 root handle 1: tbf rate {RATE} burst {2 * SIZE} limit {2 * BUFFER}")
    # The queue that Linux has always had; it knows three bands.
    tc("add dev eth0 parent 1:1 pfifo_fast")
    network = Surroundings(network=named(lan.namespace(node)))
    with run_in(network, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as flooding:
        flooding.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, BUFFER)
        flooding.settimeout(0.1)
        ended = threading.Event()
        sender = threading.Thread(target=_send, args=(flooding, ended))
        sender.start()
        try:
            yield
        finally:
            ended.set()
            sender.join()
            tc("del dev eth0 root")


def _send(flooding: socket.socket, ended: threading.Event) -> None:
    for number in count():
        if ended.is_set():
            return
        try:
            flooding.sendto(number.to_bytes(SIZE), (CLIENT[4], DISCARD))
        except TimeoutError:
            continue


def _flood(frame: object) -> bool:
    return UDP in frame and frame[UDP].dport == DISCARD  # type: ignore[operator,index]


def _await_flood(lan: Lan, frames: int) -> None:
    came = (frame for frame in lan.received(60) if _flood(frame))
    assert sum(1 for _, _ in zip(range(frames), came, strict=False)) == frames


@pytest.mark.parametrize("address", [ADDRESSES[4][0], ADDRESSES[6][0]], ids=["IPv4", "IPv6"])
def test_a_full_link_neither_delays_answers_nor_moves_addresses(lan: Lan, address: str) -> None:
    lan.start(*NODES, failure_timeout=TIMEOUT)
    lan.apply(*NODES)
    lan.await_agreement(*NODES)
    owner = lan.await_owners(*ALL)[address]
    others = [lan.speakers[node] for node in NODES if node != owner]
    told = [len(each.changes) for each in others]
    with full_link(lan, owner):
        _await_flood(lan, QUEUED)
        lan.send(question(address))
        before = 0
        for frame in lan.received(60):
            before += _flood(frame)
            if answered_by(frame, address) == MAC[owner]:
                break
        assert before < QUEUED / 4, f"the answer came after {before} frames that had waited"
        _await_flood(lan, QUEUED)
        lost = [change for each, since in zip(others, told, strict=True) for change in each.changes[since:]]
        assert not [
            change for change in lost if change["change"] == "PeersChanged" and owner not in change["outlook"]
        ]
