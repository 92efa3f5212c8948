"""What the forwarder does when nft does not do as asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from ipaddress import ip_address

import pytest

from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.api.services import ServicePort
from heraldlb.forwarding.forwarder import SPARE_CHAINS, Forwarder
from heraldlb.forwarding.model import Frame, Plan
from heraldlb.forwarding.nft import Nft, NftError, NftFailure, classify
from heraldlb.forwarding.plan import plan_service
from tests.unit.forwarding.builders import FRAME, NODE, endpoint, service, slice_of
from tests.unit.forwarding.kernel import Kernel, loaded


def plan_of(
    count: int, *, poisoned: frozenset[int] = frozenset(), endpoints: int = 1, affine: bool = False
) -> Plan:
    """Services `s0`... of which the poisoned ones have a port that nft refuses."""
    plans = []
    for number in range(count):
        id_ = NamespacedName("default", f"s{number}")
        port = 70_000 if number in poisoned else 80
        subject = service(
            id_,
            cluster_ips=(f"10.96.0.{number + 1}",),
            ports=(ServicePort("http", "TCP", port),),
            session_affinity_seconds=60 * affine,
        )
        targets = [endpoint(f"10.244.2.{index + 1}") for index in range(endpoints)]
        plans.append(plan_service(subject, [slice_of(*targets, of=id_)], NODE))
    return Plan(FRAME).replace(plan for plan in plans if plan is not None)


def learned_key(plan: Plan, number: int = 0) -> str:
    """The key of what a client's connection to Service `s{number}` is remembered by."""
    [server] = plan.services[NamespacedName("default", f"s{number}")].servers.values()
    assert server.affinity is not None
    halves = (ip_address(server.affinity.group >> shift & 0xFFFF_FFFF) for shift in (96, 64))
    return " . ".join(("198.51.100.1", *map(str, halves)))


def learn(kernel: Kernel, key: str, backend: str = "10.244.2.1 . 8080") -> None:
    """As packets do."""
    kernel.tables["ip"].maps["affinity"][key] = backend


async def test_the_first_plan_is_loaded_in_full_and_the_next_as_a_difference() -> None:
    kernel = Kernel()
    forwarder = Forwarder(kernel, kernel)
    assert (await forwarder.apply(plan_of(3))).full
    second = await forwarder.apply(plan_of(3, endpoints=2))
    # Three new slots, and three verdicts exchanged for those that pick one of two.
    assert (second.full, second.elements) == (False, 9)
    third = await forwarder.apply(plan_of(3, endpoints=2))
    # The frame, the Services, and the change of all.
    assert (third.full, third.elements, len(kernel.applied), kernel.reads) == (False, 0, 3, 1)


async def test_a_large_load_is_many_small_transactions() -> None:
    kernel = Kernel()
    applied = await Forwarder(kernel, kernel, chunk=20).apply(plan_of(40))
    assert applied.transactions == len(kernel.applied) > 5
    assert max(text.count(" . tcp . ") for text in kernel.applied) < 20
    assert kernel.elements() == loaded(plan_of(40)).elements()


async def test_a_service_with_many_slots_comes_and_goes_in_small_transactions_too() -> None:
    def heavy(endpoints: int, *addresses: str) -> Plan:
        subject = service(
            type="LoadBalancer", ingress=addresses, annotations={"heraldlb.io/scheduler": "maglev"}, created="2026"
        )
        targets = [endpoint(f"10.244.2.{index + 1}") for index in range(endpoints)]
        planned = plan_service(subject, [slice_of(*targets)], NODE)
        assert planned is not None
        return Plan(FRAME).replace([planned])

    kernel = Kernel()
    forwarder = Forwarder(kernel, kernel, chunk=5_000)
    for plan in (heavy(3, "172.16.0.1", "172.16.0.2"), heavy(5, "172.16.0.2", "172.16.0.3"), Plan(FRAME)):
        kernel.applied.clear()
        await forwarder.apply(plan)
        assert kernel.elements() == loaded(plan).elements()
        assert max(text.count("\n") for text in kernel.applied) < 10_000


async def test_a_new_frame_is_loaded_in_full() -> None:
    forwarder = Forwarder(kernel := Kernel(), kernel)
    await forwarder.apply(Plan(FRAME))
    assert (await forwarder.apply(Plan(replace(FRAME, masquerade_mark=0x80)))).full


async def test_poisoned_services_are_named_and_everything_else_is_forwarded() -> None:
    kernel = Kernel()
    applied = await Forwarder(kernel, kernel).apply(plan_of(40, poisoned=frozenset({7, 31})))
    assert [str(found.service) for found in applied.quarantined] == ["default/s31", "default/s7"]
    assert {found.reason for found in applied.quarantined} == {Reason.FORWARDING_FAILED}
    assert len(kernel.elements()["ip", "services"]) == 38


async def test_a_poisoned_service_stays_out_quietly_until_it_changes() -> None:
    kernel = Kernel()
    forwarder = Forwarder(kernel, kernel)
    await forwarder.apply(plan_of(4))
    spoiled = await forwarder.apply(plan_of(4, poisoned=frozenset({2})))
    assert [found.service.name for found in spoiled.quarantined] == ["s2"]
    checks = kernel.checks
    assert "10.96.0.3 . tcp . 80" in kernel.elements()["ip", "services"], "as it was before"
    again = await forwarder.apply(plan_of(5, poisoned=frozenset({2})))
    assert (again.full, kernel.checks, len(again.quarantined)) == (False, checks, 1)
    healed = await forwarder.apply(plan_of(5))
    assert (healed.full, healed.quarantined) == (False, ())
    assert len(kernel.elements()["ip", "services"]) == 5


async def test_poison_is_searched_only_in_the_transaction_that_is_refused() -> None:
    class Watched(Kernel):
        examined = ""

        async def check(self, text: str) -> None:
            self.examined += text
            await super().check(text)

    kernel = Watched()
    forwarder = Forwarder(kernel, kernel, chunk=12)
    applied = await forwarder.apply(plan_of(40, poisoned=frozenset({20})))
    assert [found.service.name for found in applied.quarantined] == ["s20"]
    assert kernel.elements() == loaded(plan_of(40).replace(removed=[NamespacedName("default", "s20")])).elements()
    assert kernel.examined.count("10.96.0.21 . tcp") >= 1
    assert "10.96.0.1 . tcp" not in kernel.examined
    assert "10.96.0.40 . tcp" not in kernel.examined


async def test_a_service_whose_rules_cannot_be_written_goes_without_and_alone() -> None:
    def broken(plan: Plan) -> Plan:
        odd = plan.services[NamespacedName("default", "s3")]
        servers = {dialled: replace(server, backends=(None,)) for dialled, server in odd.servers.items()}  # type: ignore[arg-type]
        return plan.replace([replace(odd, servers=servers)])

    rest = plan_of(8).replace(removed=[NamespacedName("default", "s3")])
    for chunk in (4, 1000):
        kernel = Kernel()
        forwarder = Forwarder(kernel, kernel, chunk=chunk)
        for _ in range(2):
            applied = await forwarder.apply(broken(plan_of(8)))
            assert [found.service.name for found in applied.quarantined] == ["s3"]
            assert "Not forwarded until the Service changes: Herald fails" in applied.quarantined[0].message
            assert kernel.elements() == loaded(rest).elements()
        # Nor does it hinder the next process.
        applied = await Forwarder(kernel, kernel, chunk=chunk).apply(broken(plan_of(8)))
        assert [found.service.name for found in applied.quarantined] == ["s3"]
        assert kernel.elements() == loaded(rest).elements()


async def test_services_that_go_do_not_hinder_the_search_for_one_that_is_refused() -> None:
    kernel = Kernel()
    forwarder = Forwarder(kernel, kernel)
    await forwarder.apply(plan_of(6))
    applied = await forwarder.apply(plan_of(3, poisoned=frozenset({1})))
    assert [found.service.name for found in applied.quarantined] == ["s1"]
    assert len(kernel.elements()["ip", "services"]) == 3


async def test_what_somebody_else_removed_comes_back_with_the_next_change() -> None:
    kernel = Kernel()
    forwarder = Forwarder(kernel, kernel)
    await forwarder.apply(plan_of(2))
    kernel.tables["ip"].maps["services"].clear()
    await forwarder.apply(plan_of(2, endpoints=2))
    assert kernel.elements() == loaded(plan_of(2, endpoints=2)).elements()
    kernel.tables.clear()
    assert (await forwarder.apply(plan_of(2))).full
    assert kernel.elements() == loaded(plan_of(2)).elements()


@pytest.mark.parametrize(
    "damage",
    [
        lambda kernel: kernel.tables.clear(),
        lambda kernel: kernel.tables.pop("ip6"),
        lambda kernel: kernel.tables["ip"].maps["services"].clear(),
        lambda kernel: kernel.tables["ip"].maps["backends-tcp"].update({"10.9.9.9 . 80 . 0": "10.244.2.9 . 80"}),
        lambda kernel: kernel.tables["ip"].chains["dispatch"].rules.pop(),
        lambda kernel: kernel.tables["ip"].chains["internal-1"].rules.clear(),
    ],
)
async def test_damage_is_repaired_where_it_is_doubted_that_nobody_touched_our_tables(
    damage: Callable[[Kernel], object],
) -> None:
    kernel = Kernel()
    forwarder = Forwarder(kernel, kernel)
    await forwarder.apply(plan_of(3))
    intact = deepcopy(kernel.tables)
    forwarder.doubt()
    assert not (await forwarder.apply(plan_of(3), touched=())).transactions
    damage(kernel)
    forwarder.doubt()
    assert (await forwarder.apply(plan_of(3), touched=())).transactions
    assert kernel.tables == intact


async def test_a_successor_changes_only_what_differs_and_leaves_alone_what_was_learned() -> None:
    kernel = Kernel()
    await Forwarder(kernel, kernel).apply(plan_of(8, affine=True))
    learn(kernel, key := learned_key(plan_of(1, affine=True)))
    before = len(kernel.applied)
    same = await Forwarder(kernel, kernel).apply(plan_of(8, affine=True))
    assert (same.full, same.elements, len(kernel.applied)) == (False, 0, before)
    fewer = await Forwarder(kernel, kernel, chunk=4).apply(plan_of(5, endpoints=2, affine=True))
    assert (fewer.full, fewer.transactions) == (False, len(kernel.applied) - before - 1)
    learned = kernel.tables["ip"].maps.pop("affinity")
    kernel.tables["ip"].maps["affinity"] = {}
    assert learned == {key: "10.244.2.1 . 8080"}
    assert kernel.elements() == loaded(plan_of(5, endpoints=2, affine=True)).elements()
    assert "sticky-internal-1" not in kernel.tables["ip"].chains


async def test_a_successor_with_another_frame_replaces_all_at_once_and_keeps_what_was_learned_and_its_time() -> (
    None
):
    kernel = Kernel()
    await Forwarder(kernel, kernel).apply(plan_of(8, affine=True))
    learn(kernel, key := learned_key(plan_of(1, affine=True)))
    before = len(kernel.applied)
    other = replace(plan_of(8, affine=True), frame=Frame())
    applied = await Forwarder(kernel, kernel, chunk=2).apply(other)
    assert (applied.full, len(kernel.applied) - before) == (True, 1)
    assert f"{key} timeout 10800000ms expires 60000ms : 10.244" in kernel.applied[-1]
    assert len(kernel.tables["ip"].maps["affinity"]) == 1


async def test_clients_of_a_backend_that_has_gone_are_forgotten_and_no_others() -> None:
    kernel = Kernel()
    forwarder = Forwarder(kernel, kernel)
    await forwarder.apply(plan_of(2, endpoints=2, affine=True))
    first, second = (learned_key(plan_of(2, affine=True), number) for number in range(2))
    learn(kernel, first, "10.244.2.1 . 8080")
    learn(kernel, second, "10.244.2.2 . 8080")
    await forwarder.apply(plan_of(2, affine=True))
    assert kernel.tables["ip"].maps["affinity"] == {first: "10.244.2.1 . 8080"}
    await forwarder.apply(plan_of(0))
    assert kernel.tables["ip"].maps["affinity"] == {}


async def test_a_successor_forgets_clients_whose_backend_went_while_there_was_no_agent() -> None:
    kernel = Kernel()
    await Forwarder(kernel, kernel).apply(plan_of(1, endpoints=2, affine=True))
    learn(kernel, learned_key(plan_of(1, affine=True)), "10.244.2.2 . 8080")
    await Forwarder(kernel, kernel).apply(plan_of(1, affine=True))
    assert kernel.tables["ip"].maps["affinity"] == {}


async def test_what_was_learned_is_dropped_rather_than_the_services_where_nft_refuses_it() -> None:
    kernel = Kernel()
    await Forwarder(kernel, kernel).apply(plan_of(2))
    kernel.tables["ip"].maps["affinity"]["198.51.100.1 . 70000 . 1"] = "10.244.2.1 . 8080"
    other = replace(plan_of(2), frame=Frame())
    applied = await Forwarder(kernel, kernel).apply(other)
    assert (applied.full, applied.quarantined) == (True, ())
    assert kernel.elements() == loaded(other).elements()


async def test_chains_out_of_use_are_deleted_before_they_are_many() -> None:
    kernel = Kernel()
    forwarder = Forwarder(kernel, kernel)
    for endpoints in range(1, SPARE_CHAINS + 2):
        await forwarder.apply(plan_of(1, endpoints=endpoints))
    assert sum(name.startswith("internal-") for name in kernel.tables["ip"].chains) == 1
    await forwarder.apply(plan_of(1, endpoints=1))
    assert kernel.elements() == loaded(plan_of(1)).elements()


async def test_only_the_services_said_to_be_touched_are_looked_at() -> None:
    kernel = Kernel()
    forwarder = Forwarder(kernel, kernel)
    await forwarder.apply(plan_of(3))
    changed = await forwarder.apply(plan_of(3, endpoints=2), touched=[NamespacedName("default", "s1")])
    assert changed.elements == 3


class Unwilling(Kernel):
    """Fails every transaction in the same way while told to."""

    failure: NftFailure | None = None

    async def apply(self, text: str) -> None:
        if self.failure is not None:
            raise NftError(self.failure, "as told")
        await super().apply(text)


@pytest.mark.parametrize("failure", [NftFailure.NOT_FOUND, NftFailure.NOT_PERMITTED, NftFailure.TIMEOUT])
async def test_a_failure_that_is_no_services_fault_is_raised_and_has_the_next_call_read_what_there_is(
    failure: NftFailure,
) -> None:
    kernel = Unwilling()
    forwarder = Forwarder(kernel, kernel)
    await forwarder.apply(plan_of(2))
    kernel.failure = failure
    with pytest.raises(NftError, match="as told"):
        await forwarder.apply(plan_of(3))
    assert (kernel.checks, kernel.reads) == (0, 1)
    kernel.failure = None
    await forwarder.apply(plan_of(3), touched=())
    assert (kernel.elements(), kernel.reads) == (loaded(plan_of(3)).elements(), 2)


async def test_a_refusal_that_no_service_explains_is_raised() -> None:
    kernel = Unwilling()
    kernel.failure = NftFailure.REFUSED
    with pytest.raises(NftError, match="as told"):
        await Forwarder(kernel, kernel).apply(plan_of(3))


async def test_after_a_cancelled_change_the_next_call_reads_what_there_is() -> None:
    class Hanging(Kernel):
        started: asyncio.Event | None = None

        async def apply(self, text: str) -> None:
            if self.started is not None:
                self.started.set()
                await asyncio.Event().wait()
            await super().apply(text)

    kernel = Hanging()
    forwarder = Forwarder(kernel, kernel)
    await forwarder.apply(plan_of(1))
    kernel.started = asyncio.Event()
    task = asyncio.create_task(forwarder.apply(plan_of(2)))
    await kernel.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    kernel.started = None
    await forwarder.apply(plan_of(2), touched=())
    assert (kernel.elements(), kernel.reads) == (loaded(plan_of(2)).elements(), 2)


async def test_a_missing_nft_is_told_from_a_refusal() -> None:
    with pytest.raises(NftError, match="install the package nftables") as caught:
        await Nft(("nft-that-does-not-exist",)).apply("")
    assert caught.value.failure is NftFailure.NOT_FOUND


def test_complaints_are_classified_and_kept_short() -> None:
    denied = classify("netlink: Error: cache initialization failed: Operation not permitted\n")
    assert denied.failure is NftFailure.NOT_PERMITTED
    refused = classify("/dev/stdin:5:2-6: Error: Service out of range\n10.0.0.1 . 70000 : drop,\n   ^^^^^\n" * 100)
    assert refused.failure is NftFailure.REFUSED
    assert str(refused) == "Service out of range (10.0.0.1 . 70000 : drop)"
    assert str(classify("")) == "nft failed without a message"
    assert str(classify("nft: not what was expected\n")) == "nft: not what was expected"
