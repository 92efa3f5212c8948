"""What the forwarder does when nft does not do as asked."""

from __future__ import annotations

import asyncio

import pytest

from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.api.services import ServicePort
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.model import Frame, Plan
from heraldlb.forwarding.nft import Nft, NftError, NftFailure, classify
from heraldlb.forwarding.plan import plan_service
from tests.unit.forwarding.builders import FRAME, NODE, endpoint, service, slice_of
from tests.unit.forwarding.kernel import Kernel


def plan_of(count: int, *, poisoned: frozenset[int] = frozenset(), endpoints: int = 1) -> Plan:
    """Services `s0`... of which the poisoned ones have a port that nft refuses."""
    plans = []
    for number in range(count):
        id_ = NamespacedName("default", f"s{number}")
        port = 70_000 if number in poisoned else 80
        subject = service(id_, cluster_ips=(f"10.96.0.{number + 1}",), ports=(ServicePort("http", "TCP", port),))
        targets = [endpoint(f"10.244.2.{index + 1}") for index in range(endpoints)]
        plans.append(plan_service(subject, [slice_of(*targets, of=id_)], NODE))
    return Plan(FRAME).replace(plan for plan in plans if plan is not None)


async def test_the_first_plan_is_loaded_in_full_and_the_next_as_a_difference() -> None:
    kernel = Kernel()
    forwarder = Forwarder(kernel)
    assert (await forwarder.apply(plan_of(3))).full
    second = await forwarder.apply(plan_of(3, endpoints=2))
    # Three new slots, and three verdicts exchanged for those that pick one of two.
    assert (second.full, second.elements) == (False, 9)
    third = await forwarder.apply(plan_of(3, endpoints=2))
    assert (third.full, third.elements, len(kernel.applied)) == (False, 0, 2)


async def test_a_new_frame_is_loaded_in_full() -> None:
    forwarder = Forwarder(Kernel())
    await forwarder.apply(Plan(FRAME))
    assert (await forwarder.apply(Plan(Frame()))).full


async def test_poisoned_services_are_named_and_everything_else_is_forwarded() -> None:
    kernel = Kernel()
    applied = await Forwarder(kernel).apply(plan_of(40, poisoned=frozenset({7, 31})))
    assert [str(found.service) for found in applied.quarantined] == ["default/s31", "default/s7"]
    assert {found.reason for found in applied.quarantined} == {Reason.FORWARDING_FAILED}
    assert len(kernel.elements()["ip", "services"]) == 38


async def test_a_poisoned_service_stays_out_quietly_until_it_changes() -> None:
    kernel = Kernel()
    forwarder = Forwarder(kernel)
    await forwarder.apply(plan_of(4))
    spoiled = await forwarder.apply(plan_of(4, poisoned=frozenset({2})))
    assert [found.service.name for found in spoiled.quarantined] == ["s2"]
    checks = kernel.checks
    again = await forwarder.apply(plan_of(5, poisoned=frozenset({2})))
    assert (again.full, kernel.checks, len(again.quarantined)) == (False, checks, 1)
    healed = await forwarder.apply(plan_of(5))
    assert (healed.full, healed.quarantined) == (False, ())
    assert len(kernel.elements()["ip", "services"]) == 5


async def test_rules_that_somebody_else_removed_come_back_in_full_with_the_next_change() -> None:
    kernel = Kernel()
    forwarder = Forwarder(kernel)
    await forwarder.apply(plan_of(2))
    kernel.tables["ip"].maps["services"].clear()
    assert (await forwarder.apply(plan_of(2, endpoints=2))).full
    assert len(kernel.elements()["ip", "services"]) == 2


class Unwilling(Kernel):
    """Fails every transaction in the same way while told to."""

    failure: NftFailure | None = None

    async def apply(self, text: str) -> None:
        if self.failure is not None:
            raise NftError(self.failure, "as told")
        await super().apply(text)


@pytest.mark.parametrize("failure", [NftFailure.NOT_FOUND, NftFailure.NOT_PERMITTED, NftFailure.TIMEOUT])
async def test_a_failure_that_is_no_services_fault_is_raised_and_followed_by_a_full_load(
    failure: NftFailure,
) -> None:
    kernel = Unwilling()
    forwarder = Forwarder(kernel)
    await forwarder.apply(plan_of(2))
    kernel.failure = failure
    with pytest.raises(NftError, match="as told"):
        await forwarder.apply(plan_of(3))
    assert kernel.checks == 0
    kernel.failure = None
    assert (await forwarder.apply(plan_of(3))).full


async def test_a_refusal_that_no_service_explains_is_raised() -> None:
    kernel = Unwilling()
    kernel.failure = NftFailure.REFUSED
    with pytest.raises(NftError, match="as told"):
        await Forwarder(kernel).apply(plan_of(3))


async def test_a_cancelled_change_is_followed_by_a_full_load() -> None:
    class Hanging(Kernel):
        started: asyncio.Event | None = None

        async def apply(self, text: str) -> None:
            if self.started is not None:
                self.started.set()
                await asyncio.Event().wait()
            await super().apply(text)

    kernel = Hanging()
    forwarder = Forwarder(kernel)
    await forwarder.apply(plan_of(1))
    kernel.started = asyncio.Event()
    task = asyncio.create_task(forwarder.apply(plan_of(2)))
    await kernel.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    kernel.started = None
    assert (await forwarder.apply(plan_of(2))).full


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
