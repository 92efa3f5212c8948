"""Which node is asked about connections to an address, and for how long."""

from __future__ import annotations

from ipaddress import ip_address

from heraldlb.agent.formers import LIMIT, Formers

A, B = ip_address("10.0.0.1"), ip_address("fd00::1")
ME = "n1"


def after(*owners: str | None) -> Formers:
    """As address A had these owners in turn, a second each."""
    formers = Formers(ME)
    for now, owner in enumerate(owners):
        formers.owners_changed({A: owner}, float(now))
    return formers


def test_whoever_owns_an_address_is_asked_so_that_a_takeover_changes_nothing() -> None:
    assert after("n2").known(0.0) == {A: "n2"}
    assert after("n2", ME).known(1.0) == {A: "n2"}


def test_nobody_is_asked_about_an_address_that_this_node_had_first() -> None:
    assert after(ME).known(0.0) == {}
    assert after(None, ME).known(1.0) == {}


def test_the_last_other_owner_is_asked_also_where_there_was_none_for_a_while() -> None:
    assert after("n2", "n3", ME).known(2.0) == {A: "n3"}
    assert after("n2", None, ME).known(2.0) == {A: "n2"}
    assert after("n2", ME, "n3").known(2.0) == {A: "n3"}


def test_a_lost_node_is_not_asked_any_more_not_even_when_it_is_back() -> None:
    formers = after("n2", ME)
    formers.lost({"n2"})
    assert formers.known(1.0) == {}
    formers.owners_changed({A: ME}, 2.0)
    assert formers.known(2.0) == {}
    formers.owners_changed({A: "n2"}, 3.0)
    assert formers.known(3.0) == {A: "n2"}


def test_what_a_lost_node_did_not_own_is_not_its_matter() -> None:
    formers = after("n2", ME)
    formers.lost({"n3"})
    assert formers.known(1.0) == {A: "n2"}


def test_it_ends_a_day_after_the_takeover_however_often_owners_are_told() -> None:
    formers = after("n2", ME, ME, ME)
    assert formers.next_expiry(3.0) == 1.0 + LIMIT
    assert formers.known(0.9 + LIMIT) == {A: "n2"}
    assert formers.known(1.0 + LIMIT) == {}
    assert formers.next_expiry(1.0 + LIMIT) is None


def test_it_does_not_end_while_the_other_owns_the_address() -> None:
    formers = after("n2")
    assert formers.next_expiry(0.0) is None
    assert formers.known(2 * LIMIT) == {A: "n2"}


def test_each_takeover_counts_anew() -> None:
    formers = after("n2", ME, "n2")
    formers.owners_changed({A: ME}, LIMIT)
    assert formers.known(1.5 * LIMIT) == {A: "n2"}


def test_an_address_that_is_no_more_is_forgotten() -> None:
    formers = after("n2")
    formers.owners_changed({B: "n3"}, 1.0)
    assert formers.known(1.0) == {B: "n3"}
    formers.owners_changed({A: ME, B: ME}, 2.0)
    assert formers.known(2.0) == {B: "n3"}
