"""Who is remembered of those that asked for a shared address, and who is told what when the sharers change."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.clients import Clients, Update
from heraldlb.speaker.constants import CLIENTS_INTERVAL, CLIENTS_PER_MESSAGE, REFRESH_INTERVAL, UPDATE_AFTER
from heraldlb.speaker.ownership import Placement, Share

V4, V6, HOST = ip_address("10.0.0.9"), ip_address("fd00::9"), ip_address("10.0.0.1")
STATIONS = tuple(bytes((2, 0, 0, 0, 1, number)) for number in range(30))
ENOUGH = 100


def share(*sharers: str, me: str = "a", address: IPAddress = V4) -> Share:
    return Share(address, me, frozenset(sharers), Placement(2, "eth0", b"\x02" * 6))


def owned(by: str, *sharers: str) -> set[bytes]:
    return {station for station in STATIONS if share(*sharers).owner(station) == by}


def clients_of(*sharers: str, stations: Iterable[bytes] = STATIONS) -> Clients:
    made = Clients()
    made.share({V4: share(*sharers)}, 0.0)
    for station in stations:
        made.seen(V4, station, HOST)
    return made


def told(clients: Clients, now: float) -> dict[bytes, str]:
    return {update.station: update.owner for update in clients.due(now, ENOUGH)}


def test_nobody_is_told_anything_while_the_sharers_stay_the_same() -> None:
    clients = clients_of("a", "b", "c")
    clients.share({V4: share("c", "b", "a")}, 1.0)
    assert clients.next_due() is None


def test_when_a_sharer_dies_its_clients_that_are_now_this_nodes_are_told_and_no_others() -> None:
    clients = clients_of("a", "b", "c")
    clients.share({V4: share("a", "b")}, 1.0)
    moved = owned("a", "a", "b") - owned("a", "a", "b", "c")
    assert moved
    assert told(clients, 1.0) == dict.fromkeys(moved, "a")


def test_clients_that_go_to_a_sharer_who_comes_are_told_by_the_node_they_leave() -> None:
    clients = clients_of("a", "b")
    clients.share({V4: share("a", "b", "c")}, 1.0)
    left = owned("a", "a", "b") - owned("a", "a", "b", "c")
    assert left
    assert told(clients, 1.0) == dict.fromkeys(left, "c")


def introduced(clients: Clients) -> dict[str, set[bytes]]:
    """Whom each peer is told of, in the end."""
    found: dict[str, set[bytes]] = {}
    now = 1.0
    while due := [*clients.letters(now)]:
        for peer, sightings in due:
            assert len(sightings) <= CLIENTS_PER_MESSAGE
            found.setdefault(peer, set()).update(station for _, station, _ in sightings)
        now += CLIENTS_INTERVAL
    return found


def test_a_sharer_who_comes_learns_of_every_client_from_the_node_that_it_belonged_to() -> None:
    clients = clients_of("a", "b")
    clients.share({V4: share("a", "b", "c")}, 1.0)
    assert introduced(clients) == {"c": owned("a", "a", "b")}
    assert introduced(clients) == {}


def test_those_who_stay_learn_of_the_clients_of_a_node_that_goes() -> None:
    clients = clients_of("a", "b", "c")
    clients.share(
        {V4: Share(V4, "a", frozenset("bc"), Placement(2, "eth0", b"\x02" * 6), former=frozenset("abc"))}, 1.0
    )
    assert introduced(clients) == dict.fromkeys("bc", owned("a", "a", "b", "c"))


def test_a_peer_that_dies_is_told_no_more() -> None:
    clients = clients_of("a")
    clients.share({V4: share("a", "b")}, 1.0)
    clients.share({V4: share("a")}, 1.0)
    assert introduced(clients) == {}


def test_a_client_is_told_a_few_times_and_then_reminded_by_its_new_node_alone() -> None:
    coming, going = clients_of("a", "b"), clients_of("a")
    coming.share({V4: share("a")}, 0.0)
    going.share({V4: share("a", "b")}, 0.0)
    for after in UPDATE_AFTER:
        assert told(coming, after)
        assert told(going, after)
    assert introduced(going).keys() == {"b"}
    assert going.next_due() is None
    assert coming.next_due() == pytest.approx(UPDATE_AFTER[-1] + REFRESH_INTERVAL)


def test_a_client_that_moves_again_before_it_was_told_is_told_the_truth() -> None:
    clients = clients_of("a", "b")
    clients.share({V4: share("a", "b", "c")}, 1.0)
    clients.share({V4: share("a", "b")}, 1.0)
    assert set(told(clients, 1.0).values()) == {"a"}


def test_a_node_that_shares_no_more_passes_all_its_clients_on() -> None:
    clients = clients_of("a", "b", "c")
    lingering = Share(V4, "a", frozenset("bc"), Placement(2, "eth0", b"\x02" * 6), former=frozenset("abc"))
    clients.share({V4: lingering}, 1.0)
    passed_on = told(clients, 1.0)
    assert passed_on.keys() == owned("a", "a", "b", "c")
    assert set(passed_on.values()) == {"b", "c"}
    clients.share({}, 1.05)
    assert told(clients, 2.0) == {}
    assert len(clients) == 0


def test_after_a_strangers_claim_own_clients_are_told_anew() -> None:
    clients = clients_of("a", "b")
    clients.renew(V4, 1.0)
    assert told(clients, 1.0) == dict.fromkeys(owned("a", "a", "b"), "a")


def test_who_asks_for_an_address_that_is_not_shared_is_not_remembered() -> None:
    clients = clients_of("a", "b", stations=())
    clients.seen(V6, STATIONS[0], ip_address("fd00::1"))
    assert len(clients) == 0


def test_the_least_recently_seen_is_forgotten_first() -> None:
    clients = Clients(most_per_address=2)
    clients.share({V4: share("b")}, 0.0)
    for station in (STATIONS[0], STATIONS[1], STATIONS[0], STATIONS[2]):
        clients.seen(V4, station, HOST)
    clients.share({V4: share("a")}, 0.0)
    assert told(clients, 0.0).keys() == {STATIONS[0], STATIONS[2]}


def test_a_flood_for_one_address_takes_nothing_from_the_clients_of_another() -> None:
    clients = Clients(most_per_address=30, most=20)
    clients.share({V4: share("b"), V6: share("b", address=V6)}, 0.0)
    for station in STATIONS[:5]:
        clients.seen(V4, station, HOST)
    for station in STATIONS * 2:
        clients.seen(V6, station, ip_address("fd00::1"))
    assert len(clients) == 20
    clients.share({V4: share("a"), V6: share("b", address=V6)}, 0.0)
    assert told(clients, 0.0).keys() == set(STATIONS[:5])


def test_no_more_than_the_limit_go_out_in_one_turn_and_the_rest_in_the_next() -> None:
    clients = clients_of("b")
    clients.share({V4: share("a")}, 0.0)
    turns = [list(clients.due(0.0, 20)) for _ in range(3)]
    assert [len(turn) for turn in turns] == [20, 10, 0]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("seen"), st.sampled_from([V4, V6]), st.sampled_from(STATIONS)),
            st.tuples(st.just("share"), st.sampled_from([V4, V6]), st.sets(st.sampled_from("abc"))),
            st.tuples(st.just("due"), st.just(V4), st.just(b"")),
        )
    )
)
def test_whatever_happens_memory_is_bounded_and_what_is_told_is_true(
    events: list[tuple[str, IPAddress, bytes | set[str]]],
) -> None:
    clients = Clients(most_per_address=4, most=6)
    shares: dict[IPAddress, Share] = {}
    for now, (kind, address, detail) in enumerate(events):
        if kind == "seen" and isinstance(detail, bytes):
            clients.seen(address, detail, HOST)
        elif kind == "share":
            shares = {key: each for key, each in shares.items() if key != address}
            if detail:
                shares[address] = share(*map(str, detail), address=address)
            clients.share(shares, float(now))
        for update in clients.due(float(now), ENOUGH) if kind == "due" else ():
            assert isinstance(update, Update)
            assert update.owner == shares[update.address].owner(update.station)
        assert len(clients) <= 6
