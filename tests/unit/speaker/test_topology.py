"""Who is connected to whom, and whether two views are the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heraldlb.speaker.topology import Version, connected, digest

IDS = {bytes((number,)) * 8: str(number) for number in range(8)}
BY_NAME = {name: node for node, name in IDS.items()}
names = st.sampled_from(sorted(BY_NAME))
versions = st.dictionaries(
    st.sampled_from(sorted(IDS)), st.builds(Version, st.integers(0, 9), st.integers(0, 9)), max_size=8
)


@given(st.sets(names), st.dictionaries(names, st.sets(st.sampled_from(sorted(IDS)))))
def test_exactly_those_are_connected_that_the_connected_hear(start: set[str], links: dict[str, set[bytes]]) -> None:
    hears = {name: links.get(name, set()) for name in BY_NAME}
    found = connected(start, hears, IDS)
    heard = {IDS[node] for name in found for node in hears[name]}
    assert start <= found
    assert heard <= found
    assert found <= start | heard


def test_the_dead_do_not_keep_each_other_alive() -> None:
    hears = {"0": {BY_NAME["1"]}, "1": (), "2": {BY_NAME["3"]}, "3": {BY_NAME["2"]}}
    assert connected(["0"], hears, IDS) == {"0", "1"}


def test_an_id_of_a_node_that_is_not_configured_is_skipped() -> None:
    assert connected(["0"], {"0": {b"stranger"}}, IDS) == {"0"}


@given(versions, versions)
def test_views_share_a_digest_exactly_if_they_are_the_same(
    one: dict[bytes, Version], other: dict[bytes, Version]
) -> None:
    assert (digest(one.items()) == digest(reversed(other.items()))) is (one == other)
