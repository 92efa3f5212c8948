"""Heartbeats through a real socket while the key changes: the courier is its own peer, at another time."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import pairwise

import pytest

from heraldlb.speaker.courier import BAD_SIGNATURE, Courier
from heraldlb.speaker.desired import Peer
from heraldlb.speaker.messages import Message
from heraldlb.speaker.settings import SpeakerSettings
from heraldlb.speaker.standing import Standing
from heraldlb.speaker.stats import Counters

OLD, NEW = b"o" * 32, b"n" * 32
PHASES = ((OLD,), (OLD, NEW), (NEW, OLD), (NEW,))
MESSAGE = Message("b", 1, 1, Standing.SERVING)
PATIENCE = 10.0
NOW = 7.0


class Agent:
    """A courier, and what its key file holds at the moment."""

    def __init__(self, port: int) -> None:
        self.keys = PHASES[0]
        self.counters = Counters()
        self.courier = Courier(SpeakerSettings("a", lambda: self.keys, membership_port=port), self.counters)
        self.courier.reach({"b": Peer("b", (ip_address("127.0.0.1"),))})

    def exchange(self, sent_with: tuple[bytes, ...], received_with: tuple[bytes, ...]) -> list[Message]:
        """Send one message under some keys and receive it under others."""
        self.keys = sent_with
        self.courier.send("b", MESSAGE)
        self.keys = received_with
        readable, _, _ = select.select(self.courier.sockets, [], [], PATIENCE)
        return [message for each in readable for message in self.courier.receive(each, NOW)]


@pytest.fixture
def agent() -> Iterator[Agent]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    made = Agent(port)
    yield made
    made.courier.close()


def test_agents_at_neighbouring_steps_of_a_change_of_key_accept_each_other(agent: Agent) -> None:
    for one, other in pairwise(PHASES):
        for sent_with, received_with in ((one, other), (other, one), (one, one), (other, other)):
            assert agent.exchange(sent_with, received_with) == [MESSAGE]
    assert not agent.counters.messages


def test_a_step_left_out_is_noticed_and_counted(agent: Agent) -> None:
    assert agent.exchange(PHASES[0], PHASES[3]) == []
    assert agent.exchange(PHASES[2], PHASES[0]) == []
    assert agent.counters.messages[BAD_SIGNATURE] == 2
    assert agent.counters.refused == {BAD_SIGNATURE: NOW}
