"""`/examination` over real HTTP on the loopback interface; the node and its network are the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from heraldlb.examination import endpoint
from heraldlb.examination.codec import decode
from heraldlb.examination.endpoint import PATH, Examination
from heraldlb.examination.facts import LinkFacts, NodeFacts
from heraldlb.examination.survey import Answerer, Question, Survey

LINKS = (LinkFacts("eth0", announces=True),)
ANSWER = Survey(1, (Answerer(ip_address("192.168.1.9"), "02:00:00:00:00:09", "eth0"),))

Client = TestClient[web.Request, web.Application]


class Node:
    """Counts how often it is read, and keeps what was asked."""

    def __init__(self) -> None:
        self.reads = 0
        self.asked: list[tuple[Question, tuple[LinkFacts, ...]]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.failure: OSError | None = None

    async def read(self) -> NodeFacts:
        self.reads += 1
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return NodeFacts(f"reading {self.reads}", links=LINKS)

    async def ask(self, question: Question, links: tuple[LinkFacts, ...]) -> Survey:
        self.asked.append((question, links))
        return ANSWER


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    app = web.Application()
    app.add_routes(Examination(node.read, node.ask).routes())
    async with TestClient(TestServer(app)) as made:
        yield made


async def told(client: Client) -> NodeFacts:
    async with client.get(PATH) as answer:
        assert answer.status == 200
        return decode(NodeFacts, await answer.json())


async def asked(client: Client, body: str) -> tuple[int, str]:
    async with client.post(PATH, data=body) as answer:
        return answer.status, await answer.text()


async def test_however_many_ask_at_once_the_node_is_read_once(node: Node) -> None:
    tell = Examination(node.read, node.ask).routes()[0].handler
    node.may_answer.clear()
    asking = [asyncio.ensure_future(tell(make_mocked_request("GET", PATH))) for _ in range(8)]
    # All of them have got as far as they get.
    await asyncio.sleep(0)
    node.may_answer.set()
    await asyncio.gather(*asking)
    assert node.reads == 1


async def test_facts_are_told_again_for_a_while_and_then_read_anew(
    client: Client, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "KEPT", 3600.0)
    assert (await told(client), await told(client)) == (NodeFacts("reading 1", links=LINKS),) * 2
    monkeypatch.setattr(endpoint, "KEPT", 0.0)
    another = Examination(node.read, node.ask)
    app = web.Application()
    app.add_routes(another.routes())
    async with TestClient(TestServer(app)) as made:
        assert [(await told(made)).node, (await told(made)).node] == ["reading 2", "reading 3"]


async def test_a_node_that_cannot_be_read_says_so_and_is_read_at_the_next_question(
    client: Client, node: Node
) -> None:
    node.failure = PermissionError(1, "Operation not permitted")
    async with client.get(PATH) as answer:
        assert (answer.status, await answer.text()) == (
            503,
            "the node could not be read: [Errno 1] Operation not permitted\n",
        )
    node.failure = None
    assert (await told(client)).node == "reading 2"


async def test_the_network_is_asked_by_the_nodes_links_and_then_not_for_a_while(client: Client, node: Node) -> None:
    status, text = await asked(client, '{"probe": ["192.168.1.9"], "dhcp": true}')
    assert status == 200, text
    assert '"mac": "02:00:00:00:00:09"' in text
    question = Question((ip_address("192.168.1.9"),), dhcp=True)
    assert node.asked == [(question, LINKS)]
    status, text = await asked(client, "{}")
    assert status == 429
    assert text == "the network was asked a moment ago: ask again in 5 s\n"
    assert node.asked == [(question, LINKS)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", 'the body is not JSON: send {"probe": ["192.168.1.240"], "dhcp": true}'),
        ("[]", "the document is not an object"),
        ('{"probe": "192.168.1.9"}', "probe is not a list"),
        ('{"probe": ["192.168.1.0/24"]}', "probe[0] is not an IP address"),
        ('{"dhcp": "yes"}', "dhcp is not true or false"),
        (str({"probe": ["192.168.1.9"] * 257}).replace("'", '"'), "probe: 257 addresses; at most 256 at once"),
    ],
)
async def test_a_bad_question_is_refused_in_words_and_costs_nobody_a_turn(
    client: Client, node: Node, body: str, message: str
) -> None:
    assert await asked(client, body) == (400, f"{message}\n")
    assert not node.asked
    assert (await asked(client, "{}"))[0] == 200
