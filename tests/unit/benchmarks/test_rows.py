"""Rows, targets, and how peers come beside them."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks.peers import Peer, PeerError, beside, parse_rows
from benchmarks.rows import Row, Sense, table


@pytest.mark.parametrize(
    ("value", "target", "sense", "holds"),
    [
        pytest.param(40.0, 40.0, Sense.AT_MOST, True, id="at most, just reached"),
        pytest.param(40.1, 40.0, Sense.AT_MOST, False, id="at most, missed"),
        pytest.param(900.0, 900.0, Sense.AT_LEAST, True, id="at least, just reached"),
        pytest.param(899.0, 900.0, Sense.AT_LEAST, False, id="at least, missed"),
        pytest.param(1.0, None, Sense.AT_MOST, None, id="no target"),
    ],
)
def test_a_target_is_held_in_its_sense(
    value: float, target: float | None, sense: Sense, holds: bool | None
) -> None:
    assert Row("a.b", value, "ms", target, sense).holds is holds


def test_a_stored_row_has_every_field() -> None:
    row = Row("a.p50_ms", 12.5, "ms", 40.0, peer={"bare": 7.0})
    assert row.as_json() == {
        "name": "a.p50_ms",
        "value": 12.5,
        "unit": "ms",
        "target": 40.0,
        "holds": True,
        "peer": {"bare": 7.0},
    }


def test_the_table_has_a_column_for_each_peer() -> None:
    rows = [Row("a", 12.5, "ms", 40.0, peer={"bare": 7.0}), Row("bb", 900.0, "/s", 1000.0, Sense.AT_LEAST)]
    assert table(rows).splitlines() == [
        "NAME   VALUE     TARGET        HOLDS   BARE",
        "a      12.5 ms   <= 40 ms      yes     7 ms",
        "bb     900 /s    >= 1,000 /s   NO      -",
    ]


def test_a_peers_values_come_beside_rows_of_the_same_name() -> None:
    rows = [Row("a", 1.0, "ms", peer={"bare": 0.5}), Row("b", 2.0, "ms")]
    joined = beside(rows, "other", {"a": (3.0, "ms"), "unknown": (4.0, "s")})
    assert [row.peer for row in joined] == [{"bare": 0.5, "other": 3.0}, {}]


def test_a_peer_in_another_unit_is_refused() -> None:
    with pytest.raises(PeerError, match=r"a is in s, expected ms"):
        beside([Row("a", 1.0, "ms")], "other", {"a": (3.0, "s")})


def test_a_peer_may_print_rows_as_we_store_them() -> None:
    rows = [Row("a", 1.0, "ms").as_json()]
    assert parse_rows(json.dumps({"rows": rows})) == parse_rows(json.dumps(rows)) == {"a": (1.0, "ms")}


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "nothing",
        "3",
        '{"row": []}',
        '[{"name": "a"}]',
        '[{"name": "a", "value": "1"}]',
        '[{"name": 1, "value": 1}]',
        '[{"name": "a", "value": NaN}]',
    ],
)
def test_what_is_no_rows_is_refused(printed: str) -> None:
    with pytest.raises(ValueError, match=r"row|Expecting"):
        parse_rows(printed)


def test_a_peers_command_is_split_as_by_a_shell() -> None:
    assert Peer.parse("other=run --name 'a b'") == Peer("other", ("run", "--name", "a b"))


@pytest.mark.parametrize("text", ["other", "=run", "other=", "other='unfinished"])
def test_a_peer_without_name_or_command_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"NAME=COMMAND|quotation"):
        Peer.parse(text)


def test_a_peers_rows_are_read_from_its_command() -> None:
    script = "import json; print(json.dumps([dict(name='a', value=2, unit='ms')]))"
    assert Peer("other", (sys.executable, "-c", script)).measure() == {"a": (2.0, "ms")}


def test_a_peer_that_fails_is_named() -> None:
    with pytest.raises(PeerError, match=r"peer other: .* ended with 3"):
        Peer("other", (sys.executable, "-c", "raise SystemExit(3)")).measure()
