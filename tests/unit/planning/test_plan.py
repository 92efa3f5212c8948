from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click import unstyle
from click.testing import CliRunner, Result

from heraldlb.cli.kubectl.exits import Exit
from heraldlb.cli.kubectl.main import group
from tests.unit.planning.test_forecast import held


def herald(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "heraldlb.io/v1beta1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def node(name: str, **spec: Any) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec}


def on(name: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/hostname": name}}


STATE = (
    herald("AddressPool", "lan", addresses=["10.0.0.1-10.0.0.4"], assignment="Automatic"),
    held("web", "10.0.0.1"),
    held("db", "10.0.0.4"),
    node("n1"),
    node("n2"),
    node("n3", unschedulable=True),
)


class Cluster:
    """Files that stand for a cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.state(*STATE)

    def state(self, *objects: dict[str, Any]) -> None:
        self._write("state.json", objects)

    def plan(self, *objects: dict[str, Any], options: tuple[str, ...] = ()) -> Result:
        self._write("edit.json", objects)
        files = [f"--state={self._folder / 'state.json'}", "-f", str(self._folder / "edit.json")]
        return CliRunner().invoke(group, ["plan", *files, *options])

    def report(self, *objects: dict[str, Any], options: tuple[str, ...] = ()) -> Any:
        return json.loads(self.plan(*objects, options=("-o", "json", *options)).stdout)

    def _write(self, name: str, objects: tuple[dict[str, Any], ...]) -> None:
        (self._folder / name).write_text(json.dumps({"kind": "List", "items": objects}))


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def fates(report: Any) -> dict[str, str]:
    return {each["service"].removeprefix("default/"): each["fate"] for each in report["services"]}


def test_an_edit_that_still_has_every_address_is_harmless_and_says_so(cluster: Cluster) -> None:
    result = cluster.plan(herald("AddressPool", "lan", addresses=["10.0.0.0/29"]))
    assert result.exit_code == Exit.FINE
    said = unstyle(result.stdout)
    assert "AddressPool lan: change\n  IPv4: 8 addresses, 2 assigned, 6 free" in said
    assert "nothing changes for any of them" in said


def test_a_pool_written_with_its_defaults_is_unchanged(cluster: Cluster) -> None:
    report = cluster.report(herald("AddressPool", "lan", addresses=["10.0.0.1-10.0.0.4"], priority=100))
    assert [edit["action"] for edit in report["edits"]] == ["unchanged"]


def test_who_would_move_or_lose_an_address_is_named_with_the_reason(cluster: Cluster) -> None:
    result = cluster.plan(herald("AddressPool", "lan", addresses=["10.0.0.4-10.0.0.5"]))
    assert result.exit_code == Exit.WRONG
    assert "no pool has 10.0.0.1 any more; 10.0.0.5 from pool" in result.stdout
    report = cluster.report(herald("AddressPool", "lan", addresses=["10.0.0.4"]))
    assert fates(report) == {"web": "loses", "db": "keeps"}
    assert report["pools"][0]["problems"] == ["no IPv4 address is left: add addresses, or another pool"]


def test_deleting_a_pool_moves_its_services_where_another_has_room(cluster: Cluster) -> None:
    cluster.state(*STATE, herald("AddressPool", "spare", addresses=["10.0.1.1"]))
    report = cluster.report(herald("AddressPool", "lan"), options=("--delete",))
    assert sorted(fates(report).values()) == ["loses", "moves"]
    assert cluster.plan(herald("AddressPool", "spare"), options=("--delete",)).exit_code == Exit.FINE


def test_what_the_controller_would_write_about_a_new_pool_is_told(cluster: Cluster) -> None:
    report = cluster.report(herald("AddressPool", "more", addresses=["10.0.0.4-10.0.0.9", "10.0.0.20-10.0.0.10"]))
    [pool] = report["pools"]
    assert not pool["ready"]
    assert '"10.0.0.20-10.0.0.10" is reversed' in pool["problems"][0]
    assert 'shares addresses with the older pool "lan"' in pool["problems"][1]


def test_from_where_addresses_would_be_announced_is_told_where_it_changes(cluster: Cluster) -> None:
    report = cluster.report(herald("L2Announcement", "some", addressPools=["lan"], nodeSelector=on("n2")))
    assert {each["address"]: (each["before"]["nodes"], each["after"]["nodes"]) for each in report["reach"]} == {
        "10.0.0.1": (["n1", "n2"], ["n2"]),
        "10.0.0.4": (["n1", "n2"], ["n2"]),
    }
    # The cordoned one is no node to announce from.
    silencing = cluster.plan(herald("L2Announcement", "some", nodeSelector=on("n3")))
    assert silencing.exit_code == Exit.WRONG
    assert "by no node (some)" in silencing.stdout
    missing = cluster.report(herald("L2Announcement", "some", addressPools=["lam"]))
    assert '"lam", which does not exist' in missing["announcements"]["some"]


def test_a_pool_without_a_spec_takes_everything_and_is_not_ready(cluster: Cluster) -> None:
    bare = herald("AddressPool", "lan")
    del bare["spec"]
    report = cluster.report(bare)
    assert set(fates(report).values()) == {"loses"}
    assert not report["pools"][0]["ready"]


def test_what_cannot_be_planned_is_refused_by_name(cluster: Cluster) -> None:
    result = cluster.plan(held("web"))
    assert result.exit_code == Exit.USAGE
    assert "Service default/web cannot be planned" in result.stderr
