from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from heraldlb.api.objects import Raw
from heraldlb.cli.kubectl.offline import snapshot_of
from heraldlb.cli.kubectl.snapshot import controller_view
from heraldlb.controller.settings import ControllerSettings
from heraldlb.migration.advice import advise
from heraldlb.migration.convert import sort
from heraldlb.migration.documents import Document
from heraldlb.migration.report import MigrationReport, report
from heraldlb.planning.changes import Fate
from tests.unit.allocation.build import PREFER, service

NOW = 1_800_000_000.0
POOL = {
    "apiVersion": "metallb.io/v1beta1",
    "kind": "IPAddressPool",
    "metadata": {"name": "lan"},
    "spec": {"addresses": ["10.0.0.1-10.0.0.9", "fd00::1-fd00::9"]},
}


def held(name: str, *addresses: str, **fields: Any) -> dict[str, Any]:
    """A Service as another load balancer leaves it."""
    status = {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"} for address in addresses]}}
    return {"apiVersion": "v1", "kind": "Service", **service(name, status=status, **fields)}


def migration(
    services: Iterable[Raw], *configuration: Raw, settings: ControllerSettings | None = None
) -> MigrationReport:
    objects = [*(configuration or (POOL,)), *services]
    view = controller_view(snapshot_of(objects, NOW))
    found = sort([Document("old.yaml", raw) for raw in objects])
    return report(found, view, settings or ControllerSettings(), NOW)


def fates(made: MigrationReport) -> dict[str, Fate]:
    return {change.service.name: change.fate for change in made.services}


def test_services_keep_what_they_have_whatever_order_they_come_in_and_those_that_wait_get_something_else() -> None:
    made = migration(
        [
            # The oldest waits: it must not get what a younger one has.
            held("waiting", created="2020-01-01T00:00:00Z"),
            held("web", "10.0.0.1"),
            held("dual", "10.0.0.3", "fd00::3", **PREFER),
            held("asking", "10.0.0.4", annotations={"metallb.universe.tf/loadBalancerIPs": "10.0.0.4"}),
            held("a", "10.0.0.5", annotations={"metallb.io/allow-shared-ip": "k"}),
            held("b", "10.0.0.5", annotations={"metallb.io/allow-shared-ip": "k"}, ports=[{"port": 81}]),
        ]
    )
    assert made.keeps_all
    assert made.aliased == 3
    assert {name for name, fate in fates(made).items() if fate is Fate.KEEPS} == {"web", "dual", "asking", "a", "b"}
    [waiting] = [change for change in made.services if change.service.name == "waiting"]
    assert (waiting.fate, str(waiting.after[0])) == (Fate.GETS, "10.0.0.2")


def test_a_service_whose_address_is_in_no_pool_would_move_or_lose_it() -> None:
    strays = [held("stray", "10.9.9.9"), held("other", "fd09::1", ipFamilies=["IPv6"])]
    made = migration(strays)
    assert not made.keeps_all
    assert fates(made) == {"stray": Fate.MOVES, "other": Fate.MOVES}
    only4 = {**POOL, "spec": {"addresses": ["10.0.0.1-10.0.0.9"]}}
    made = migration(strays, only4)
    assert fates(made) == {"stray": Fate.MOVES, "other": Fate.LOSES}
    [lost] = [change for change in made.services if change.fate is Fate.LOSES]
    assert "has no IPv6 addresses" in lost.message


def test_a_service_of_a_class_is_not_served_unless_herald_is_installed_for_that_class() -> None:
    of_a_class = held("web", "10.0.0.1", loadBalancerClass="io.cilium/l2-announcer")
    made = migration([of_a_class])
    assert not made.keeps_all
    assert [each.load_balancer_class for each in made.unserved] == ["io.cilium/l2-announcer"]
    made = migration([of_a_class], settings=ControllerSettings("io.cilium/l2-announcer"))
    assert made.keeps_all
    assert any("--set loadBalancerClass=io.cilium/l2-announcer" in " ".join(step.commands) for step in made.steps)
    elsewhere = held("cloud", "203.0.113.7", loadBalancerClass="cloud.example/lb")
    assert migration([elsewhere]).unserved == ()


def test_services_that_share_an_address_without_a_key_are_told_to_take_one() -> None:
    sharers = [held("a", "10.0.0.5"), held("b", "10.0.0.5", ports=[{"port": 81}])]
    made = migration(sharers)
    assert sorted(fates(made).values()) == [Fate.KEEPS, Fate.MOVES]
    for sharer, advice in zip(sharers, made.advice, strict=True):
        # What the command writes is enough.
        name, _, value = advice.command.rpartition(" ")[2].partition("=")
        sharer["metadata"]["annotations"][name] = value
    assert migration(sharers).keeps_all


def test_annotations_that_are_not_read_are_named_with_what_says_the_same() -> None:
    made = migration(
        [
            held("web", "10.0.0.1", annotations={"kube-vip.io/loadbalancerIPs": "10.0.0.1, fd00::1"}),
            held("lan", "10.0.0.2", annotations={"metallb.universe.tf/address-pool": "Lan_1"}),
            held("odd", "10.0.0.3", annotations={"lbipam.cilium.io/sharing-cross-namespace": "*"}),
        ]
    )
    commands = {advice.service.name: advice.command for advice in made.advice}
    assert commands == {
        "web": "kubectl annotate service -n default web --overwrite heraldlb.io/addresses=10.0.0.1,fd00::1",
        "lan": "kubectl annotate service -n default lan --overwrite metallb.universe.tf/address-pool=lan-1",
        "odd": "",
    }
    assert advise([]) == ()


def test_pools_of_several_formats_are_carried_together_and_the_first_of_a_name_counts() -> None:
    legacy = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "config"},
        "data": {"config": "address-pools: [{name: lan, protocol: layer2, addresses: [10.1.0.0/24]}]"},
    }
    kube_vip = {"kind": "ConfigMap", "metadata": {"name": "kubevip"}, "data": {"cidr-global": "10.2.0.0/24"}}
    empty = {**POOL, "metadata": {"name": "empty"}, "spec": {"addresses": ["nothing"]}}
    made = migration([], legacy, POOL, kube_vip, empty)
    specs = {each["metadata"]["name"]: each["spec"]["addresses"] for each in made.objects}
    assert specs == {"lan": ["10.0.0.1-10.0.0.9", "fd00::1-fd00::9"], "kube-vip-global": ["10.2.0.0/24"]}
    unplaced = {note.title for note in made.notes if note.source == "-"}
    assert unplaced == {"AddressPool lan", "AddressPool empty"}
    assert [origin.value for origin in made.origins] == ["metallb", "kube-vip"]
