"""How the benchmark `survive` notices what a connection loses, and what it makes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from benchmarks.survive.conversation import Conversation
from benchmarks.survive.flow import Flow
from benchmarks.survive.held import Fate, Use
from benchmarks.survive.measure import connection_rows, throughput_rows
from benchmarks.survive.server import Crowd, Flows, Talk
from benchmarks.survive.talk import Hello, Kind, answer, download, frame, line, take_frames, take_line
from benchmarks.survive.throughput import Rate
from benchmarks.survive.verdict import Outcome, judge, losses

HELLO = Hello("talker-1", "node-1", "192.0.2.1")


@asynccontextmanager
async def conversing(use: Use, server: Callable[[], asyncio.Protocol]) -> AsyncIterator[Conversation]:
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    conversation = Conversation(17, use)
    await conversation.connect("127.0.0.1", port)
    try:
        yield conversation
    finally:
        conversation.leave()
        listening.close()


@pytest.mark.parametrize("use", [use for use in Use if not use.value.datagrams])
async def test_a_conversation_with_its_own_server_proves_itself_and_leaves_without_a_loss(
    use: Use, capsys: pytest.CaptureFixture[str]
) -> None:
    crowd = Crowd()
    async with conversing(use, lambda: Talk("talker-1", "node-1", crowd)) as conversation:
        await conversation.prove()
        await conversation.prove()
        fate = conversation.leave()
    await crowd.empty.wait()
    assert fate.failure is None
    assert fate.hello == Hello("talker-1", "node-1", "127.0.0.1")
    assert capsys.readouterr().out == ""


async def test_a_server_tells_of_a_client_that_goes_without_goodbye(capsys: pytest.CaptureFixture[str]) -> None:
    crowd = Crowd()
    async with conversing(Use.TALK, lambda: Talk("talker-1", "node-1", crowd)) as conversation:
        await conversation.prove()
        conversation.fail("of its own accord")
    await crowd.empty.wait()
    (loss,) = losses(capsys.readouterr().out)
    assert loss[0] == 17


class Impostor(asyncio.Protocol):
    """Says hello and then what it was told to, whatever it is asked."""

    def __init__(self, *said: bytes) -> None:
        self._said = said

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.writelines((line(HELLO), *self._said))


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (Use.TALK, frame(Kind.ANSWER, 1)),
        (Use.TALK, frame(Kind.ANSWER, 0) + frame(Kind.ANSWER, 0)),
        (Use.CHAT, frame(Kind.NEWS, 0) + frame(Kind.NEWS, 2)),
        (Use.CHAT, b"\xff" * 9),
        (Use.DOWNLOAD, download(0, 100) + download(101, 100)),
    ],
    ids=["skipped", "doubled", "missing news", "no frame", "missing octet"],
)
async def test_a_client_notices_what_is_missing_doubled_or_foreign(use: Use, said: bytes) -> None:
    async with conversing(use, lambda: Impostor(said)) as conversation:
        await conversation.prove()
        assert conversation.fate.failure is not None


async def test_a_connection_that_the_server_ends_has_failed() -> None:
    class Closer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.close()

    async with conversing(Use.TALK, Closer) as conversation:
        await conversation.prove()
        assert conversation.fate.failure is not None


@asynccontextmanager
async def flowing(server: asyncio.DatagramProtocol) -> AsyncIterator[Flow]:
    loop = asyncio.get_running_loop()
    listening, _ = await loop.create_datagram_endpoint(lambda: server, ("127.0.0.1", 0))
    flow = Flow(17)
    await flow.connect("127.0.0.1", listening.get_extra_info("sockname")[1])
    try:
        yield flow
    finally:
        flow.leave()
        listening.close()
        # Only then does its port belong to nobody.
        await asyncio.sleep(0)


async def test_a_flow_whose_endpoint_answers_proves_itself() -> None:
    async with flowing(Flows("talker-1", "node-1")) as flow:
        await flow.prove()
        await flow.prove()
        assert flow.fate.failure is None
        assert flow.fate.hello == Hello("talker-1", "node-1", "127.0.0.1")


class Fickle(asyncio.DatagramProtocol):
    """Gives these answers in turn to question after question; None: none."""

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = iter(answers)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if (said := next(self._answers, None)) is not None:
            self._transport.sendto(said, addr)


async def test_a_question_that_is_lost_is_no_break_and_is_waited_for_until_a_later_one_is_answered() -> None:
    async with flowing(Fickle(answer(0, HELLO), None, answer(2, HELLO))) as flow:
        await flow.prove()
        waiting = asyncio.create_task(flow.prove())
        await asyncio.sleep(0)
        await flow.prove()
        await waiting
        assert flow.fate.failure is None


@pytest.mark.parametrize(
    "second",
    [
        answer(1, Hello("talker-2", "node-2", "192.0.2.1")),
        answer(7, HELLO),
        frame(Kind.NEWS, 1) + line(HELLO),
        frame(Kind.ANSWER, 1) + b"{}",
        b"?",
    ],
    ids=["another endpoint", "not asked", "no answer", "of nobody", "too short"],
)
async def test_a_flow_notices_who_else_answers_and_what_is_no_answer(second: bytes) -> None:
    async with flowing(Fickle(answer(0, HELLO), second)) as flow:
        await flow.prove()
        assert flow.fate.failure is None
        await flow.prove()
        assert flow.fate.failure is not None


async def test_a_flow_that_is_refused_has_failed() -> None:
    listening, _ = await asyncio.get_running_loop().create_datagram_endpoint(Fickle, ("127.0.0.1", 0))
    nobody = listening.get_extra_info("sockname")[1]
    listening.close()
    await asyncio.sleep(0)
    flow = Flow(17)
    await flow.connect("127.0.0.1", nobody)
    await flow.prove()
    await asyncio.sleep(0)
    assert flow.fate.failure is not None


def test_frames_and_lines_are_taken_only_whole() -> None:
    received = bytearray(b"a line")
    assert take_line(received) is None
    received += b"\n" + frame(Kind.NEWS, 3) + frame(Kind.BYE)[:4]
    assert take_line(received) == b"a line"
    assert list(take_frames(received)) == [(Kind.NEWS, 3)]
    assert len(received) == 4


def test_a_download_is_the_same_octets_however_it_is_cut() -> None:
    whole = download(5, 1000)
    assert download(5, 400) + download(405, 600) == whole
    assert len({whole[at : at + 8] for at in range(992)}) > 200
    assert download((1 << 20) - 3, 10) == download((1 << 20) - 3, 3) + download(0, 7)


def _fate(number: int, failure: str | None = None, pod: str = "talker-1", silence: float = 0.1) -> Fate:
    return Fate(number, Use.TALK, Hello(pod, "node-1", "192.0.2.1"), failure, silence)


def test_a_connection_is_kept_if_neither_end_tells_of_an_error_and_does_not_count_if_its_endpoint_went() -> None:
    fates = [
        _fate(1, silence=0.3),
        _fate(2, "reset"),
        _fate(3),
        _fate(4, "reset", pod="talker-2"),
        _fate(5, pod="talker-2"),
        _fate(6),
    ]
    found = judge("planned", "plain", "ipv4", "tcp", fates, {3: "timed out"}, lambda hello: hello.pod == "talker-2")
    assert (found.held, found.kept, found.gone) == (4, 2, 2)
    assert found.failures == {"TALK: client: reset": 1, "TALK: server: timed out": 1}
    assert found.silences == [0.1, 0.3]
    assert found.kept_ratio == 0.5
    json.dumps(found.as_json())


def _outcome(event: str, way: str, kept: int, protocol: str = "tcp") -> Outcome:
    return Outcome(event, way, "ipv4", protocol, 100, kept, 0, {}, [0.2] * kept)


def test_changes_of_endpoints_are_one_row_together_and_one_each() -> None:
    changes = {"endpoint_added": 100, "endpoint_removed": 97, "endpoint_terminating": 100}
    ours = [_outcome(event, "survival", kept) for event, kept in changes.items()]
    plain = [_outcome("endpoint_added", "plain", 50)]
    rows = {row.name: row for row in connection_rows([*ours, *plain])}
    together = rows["survive.ipv4.endpoint_change.disturbed_ratio"]
    assert (round(together.value, 6), together.holds) == (0.01, True)
    assert rows["survive.ipv4.endpoint_removed.disturbed_ratio"].value == pytest.approx(0.03)
    assert rows["survive.ipv4.endpoint_added.disturbed_ratio"].peer == {"plain": 0.5}
    assert rows["survive.ipv4.endpoint_added.silence_p99_ms"].value == pytest.approx(200)


def test_what_is_kept_is_held_against_its_target_beside_the_other_ways() -> None:
    outcomes = [
        _outcome("planned", "survival", 98),
        _outcome("planned", "plain", 10),
        _outcome("planned", "kube-proxy", 0),
    ]
    row = next(row for row in connection_rows(outcomes) if row.name == "survive.ipv4.planned.kept_ratio")
    assert (row.value, row.holds, row.peer) == (0.98, False, {"plain": 0.1, "kube-proxy": 0.0})


def test_flows_have_rows_of_their_own() -> None:
    outcomes = [_outcome("planned", "survival", 100), _outcome("planned", "survival", 98, "udp")]
    values = {row.name: row.value for row in connection_rows(outcomes)}
    assert values["survive.ipv4.planned.kept_ratio"] == 1
    assert values["survive.ipv4.planned.udp.kept_ratio"] == 0.98


def test_the_ratio_of_throughput_is_the_worst_of_its_parts() -> None:
    rates = [
        Rate(way, "ipv6", what, "upload", bits)
        for way, what, bits in (
            ("plain", "one_stream", 10e9),
            ("survival", "one_stream", 12e9),
            ("plain", "four_streams", 10e9),
            ("survival", "four_streams", 9.5e9),
            ("survival", "per_client", 370e6),
        )
    ]
    values = {row.name: row.value for row in throughput_rows(rates)}
    assert values["survive.ipv6.throughput_ratio_to_plain"] == pytest.approx(0.95)
    assert values["survive.ipv6.upload_one_stream.throughput_ratio_to_plain"] == pytest.approx(1.2)
    assert values["survive.ipv6.per_client.upload_links"] == pytest.approx(3.7)
