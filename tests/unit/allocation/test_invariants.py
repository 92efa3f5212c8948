"""Random pools, Services, edits, deletions and restarts; what must hold is checked after every step."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from heraldlb.allocation.quarantine import QUARANTINE_PERIOD
from heraldlb.allocation.requests import Request, request_of
from heraldlb.allocation.sharing import blocker
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress, family_of
from heraldlb.api.serviceaddress import Reservation, ServiceAddress, manifest, parse_service_address
from heraldlb.api.services import parse_service
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.pool_status import parse_quarantined, pool_status
from tests.unit.allocation.build import pool, service
from tests.unit.allocation.histories import (
    NAMES,
    NAMESPACES,
    POOLS,
    annotations,
    families,
    policies,
    pool_specs,
    ports,
)

LONG = bool(os.environ.get("HERALD_LONG"))

START = 1_000_000.0
SOME_TIME = "1970-01-01T00:00:00Z"
steps_of_time = st.sampled_from([1.0, 9.0, 10.0, 60.0, QUARANTINE_PERIOD, -5.0, -10_000.0])


class Cluster(RuleBasedStateMachine):
    """A cluster whose controller decides every Service again after each change, as the queue would."""

    def __init__(self) -> None:
        super().__init__()
        self.assignments = Assignments()
        self.pools: dict[str, Any] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.clock = 0
        self.generation = 0
        self.now = self.latest = START
        self.strangers: set[IPAddress] = set()
        """Where agents see a stranger, as far as they look."""
        self.releases: dict[tuple[IPAddress, NamespacedName], Reservation] = {}
        """What should be reserved, found in the plainest way: by looking at all of it at every moment."""

    @initialize(spec=pool_specs)
    def first_pool(self, spec: dict[str, Any]) -> None:
        self.edit_pool("a", spec)

    @rule(name=st.sampled_from(POOLS), spec=pool_specs)
    def edit_pool(self, name: str, spec: dict[str, Any]) -> None:
        self.pools[name] = spec
        self._pools_changed()

    @rule(name=st.sampled_from(POOLS))
    def delete_pool(self, name: str) -> None:
        self.pools.pop(name, None)
        self._pools_changed()

    @rule(
        name=st.sampled_from(NAMES),
        namespace=st.sampled_from(NAMESPACES),
        family=families,
        wishes=annotations,
        port=ports,
        policy=policies,
    )
    def apply_service(
        self, name: str, namespace: str, family: Any, wishes: dict[str, str], port: Any, policy: Any
    ) -> None:
        former = self.services.get(name)
        if former is None or former["metadata"]["namespace"] != namespace:
            self.delete_service(name)
            self.clock += 1
            self.generation += 1
        uid = former["metadata"]["uid"] if name in self.services and former else f"{name}-{self.generation}"
        created = (
            former["metadata"]["creationTimestamp"] if name in self.services and former else f"{self.clock:05}"
        )
        self.services[name] = service(
            name, namespace=namespace, created=created, uid=uid, annotations=wishes, **family, **port, **policy
        )
        self._visit(name)

    @rule(name=st.sampled_from(NAMES))
    def delete_service(self, name: str) -> None:
        raw = self.services.pop(name, None)
        if raw is not None:
            uid = raw["metadata"]["uid"]
            self.assignments.forget(NamespacedName(raw["metadata"]["namespace"], name))
            self._leave(raw, self.assignments.ledger.held_by(uid), moved=False)
            self._expire()

    @rule(seconds=steps_of_time)
    def time_passes(self, seconds: float) -> None:
        """Also backwards, as when a clock is set."""
        self.now += seconds
        self._expire()

    @precondition(lambda self: self.assignments.next_expiry() is not None)
    @rule()
    def time_passes_until_something_ends(self) -> None:
        self.now = max(self.now, self.assignments.next_expiry() or self.now)
        self._expire()

    @precondition(lambda self: len(self.assignments.ledger))
    @rule(data=st.data())
    def stranger_comes_or_goes(self, data: st.DataObject) -> None:
        """At an address that is held, as agents look at no other."""
        address = data.draw(st.sampled_from(sorted(self.assignments.ledger, key=str)))
        self.strangers ^= {address}
        self._revisit(self.assignments.watch(self._record(address), self.now))

    @precondition(lambda self: self.assignments.ledger.reserved())
    @rule(data=st.data())
    def user_frees_a_reserved_address(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.assignments.ledger.reserved(), key=str)))
        held = self.assignments.ledger.holdings(address)
        helped = self.assignments.free(address)
        if not held:
            self.releases = {key: each for key, each in self.releases.items() if key[0] != address}
        assert self.assignments.ledger.holdings(address) == held
        assert held or not self.assignments.ledger.reservations(address)
        self._revisit(helped)

    @precondition(lambda self: self.assignments.ledger.reserved())
    @rule(data=st.data(), wishes=annotations, port=ports)
    def former_holder_returns(self, data: st.DataObject, wishes: dict[str, str], port: Any) -> None:
        """Under its name, with whatever wishes; of all that may come it would be a rare one."""
        address = data.draw(st.sampled_from(sorted(self.assignments.ledger.reserved(), key=str)))
        former = data.draw(st.sampled_from(self.assignments.ledger.reservations(address))).service
        family = {"ipFamilies": [family_of(address)]}
        self.apply_service(former.name, former.namespace, family, wishes, port, {})

    @precondition(lambda self: self._kept_from_being_given())
    @rule(data=st.data(), name=st.sampled_from(NAMES), namespace=st.sampled_from(NAMESPACES), port=ports)
    def someone_asks_for_what_is_kept(self, data: st.DataObject, name: str, namespace: str, port: Any) -> None:
        address = data.draw(st.sampled_from(sorted(self._kept_from_being_given(), key=str)))
        wish = {"heraldlb.io/addresses": str(address)}
        self.apply_service(name, namespace, {"ipFamilies": [family_of(address)]}, wish, port, {})

    @precondition(lambda self: self.services)
    @rule()
    def restart_the_controller(self) -> None:
        before, kept_before = self._held(), self._kept_from_being_given()
        self.assignments = self._restarted()
        for name in self._oldest_first():
            self._visit(name)
        self._expire()
        assert self._held() == before, "a restart changes nothing"
        assert self._kept_from_being_given() == kept_before, "nor what is kept"

    def _restarted(self) -> Assignments:
        """What a controller knows that starts now, from the objects alone."""
        before, fresh = self.assignments, Assignments()
        fresh.replace_pools(self._parsed_pools())
        for name in sorted(self.services, key=lambda name: self.services[name]["metadata"]["creationTimestamp"]):
            asked = self._request(name)
            for address in before.ledger.held_by(asked.uid):
                assert fresh.adopt(asked, address, before.ledger.pool_of(address))
        records = [self._record(address) for address in {*before.ledger, *before.ledger.reserved()}]
        for record in records:
            fresh.adopt_reservations(record)
        fresh.expire(self.now)
        for booked in before.book:
            for address, quarantine in parse_quarantined(pool_status(booked, before.book, before.ledger, {}, "t")):
                fresh.adopt_quarantine(address, quarantine, self.now)
        for record in records:
            fresh.watch(record, self.now)
        return fresh

    @invariant()
    def no_address_is_held_by_two_that_may_not_share(self) -> None:
        ledger = self.assignments.ledger
        for address in ledger:
            for holding in ledger.holdings(address):
                assert blocker(holding, ledger.others(address, holding.uid)) is None

    @invariant()
    def only_existing_services_hold_and_at_most_one_of_a_family(self) -> None:
        uids = {raw["metadata"]["uid"] for raw in self.services.values()}
        ledger = self.assignments.ledger
        for address in ledger:
            assert {holding.uid for holding in ledger.holdings(address)} <= uids
        for uid in uids:
            versions = [address.version for address in ledger.held_by(uid)]
            assert len(versions) == len(set(versions))

    @invariant()
    def every_held_address_is_in_a_pool_that_can_be_read(self) -> None:
        ledger, book = self.assignments.ledger, self.assignments.book
        for address in ledger:
            origin = book.get(ledger.pool_of(address))
            assert book.owner(address) is not None or (origin is not None and origin.pool.unusable)

    @invariant()
    def what_is_reserved_ends_exactly_in_time(self) -> None:
        ledger = self.assignments.ledger
        reserved = {(a, each.service): each for a in ledger.reserved() for each in ledger.reservations(a)}
        self._forget_what_is_over()
        assert reserved == self.releases

    @invariant()
    def what_is_over_needs_no_waiting_for(self) -> None:
        soonest = self.assignments.next_expiry()
        assert soonest is None or soonest > self.now

    @invariant()
    def a_stranger_keeps_an_address_quarantined_until_it_is_gone_for_long_enough(self) -> None:
        quarantined = self.assignments.ledger.quarantined
        assert quarantined.keys() >= self.strangers
        for address, quarantine in quarantined.items():
            assert (quarantine.last_seen is None) == (address in self.strangers)
            assert quarantine.last_seen is None or 0 <= self.now - quarantine.last_seen < QUARANTINE_PERIOD

    @invariant()
    def deciding_again_changes_nothing(self) -> None:
        before = self._held()
        for name in self._oldest_first():
            self._visit(name)
        assert self._held() == before

    def _pools_changed(self) -> None:
        kept_before = {name: held for name, held in self._held().items() if not self._wishes(name)}
        moved = self.assignments.replace_pools(self._parsed_pools())
        book = self.assignments.book
        self._expire()
        for key in moved:
            self._visit(key.name)
        self._revisit(self.assignments.waiting())
        for name, addresses in kept_before.items():
            for address in addresses:
                if book.owner(ipaddress.ip_address(address)) is not None:
                    assert address in self._held()[name], "an address that is still in a pool stays"

    def _wishes(self, name: str) -> bool:
        """Whether the Service asks for something in particular, which it may get only after a change of pools."""
        asked = self._request(name)
        return bool(asked.addresses or asked.pool)

    def _parsed_pools(self) -> list[Any]:
        return [_pool(name, spec) for name, spec in self.pools.items()]

    def _oldest_first(self) -> list[str]:
        return sorted(self.services, key=lambda name: self._request(name).age)

    def _revisit(self, keys: list[NamespacedName]) -> None:
        for key in keys:
            if key.name in self.services:
                self._visit(key.name)

    def _request(self, name: str) -> Request:
        return request_of(parse_service(self.services[name]), {})

    def _visit(self, name: str) -> None:
        asked, ledger = self._request(name), self.assignments.ledger
        held_before = set(ledger.held_by(asked.uid))
        kept_from_it = self._kept_from(asked.service)
        decision = self.assignments.decide(asked)
        granted = {grant.address for grant in decision.outcome.grants}
        assert not (granted - held_before) & kept_from_it, "what is kept from a Service is never given to it anew"
        self._was_granted(asked.service, granted)
        self._revisit([key for key in decision.helped if key.name != name])
        self._leave(self.services[name], decision.leaving, moved=True)
        self._expire()

    def _leave(self, raw: dict[str, Any], addresses: tuple[IPAddress, ...], *, moved: bool) -> None:
        ledger, book = self.assignments.ledger, self.assignments.book
        asked = request_of(parse_service(raw), {})
        left = set(addresses) & set(ledger.held_by(asked.uid))
        keepers = {address: book.keeper(address, ledger.pool_of(address)) for address in left}
        waiting = self.assignments.leave(asked.uid, addresses, self.now, moved=moved)
        for address, keeper in keepers.items():
            if keeper is not None:
                self.releases[address, asked.service] = Reservation(asked.service, self.now, moved)
            if address not in ledger:
                self.strangers.discard(address)
        self._forget_what_is_over()
        self._revisit(waiting)

    def _expire(self) -> None:
        """What the controller's timer does, which is set for the next that ends."""
        soonest = self.assignments.next_expiry()
        if self.now < self.latest or (soonest is not None and soonest <= self.now):
            self.latest = self.now
            ended = self.assignments.expire(self.now)
            self._forget_what_is_over()
            self._revisit(list(ended.helped))
        self.latest = self.now

    def _was_granted(self, service: NamespacedName, granted: set[IPAddress]) -> None:
        families = {address.version for address in granted}
        for (address, name), reservation in list(self.releases.items()):
            if name == service and address in granted:
                del self.releases[address, name]
            elif name == service and address.version in families:
                self.releases[address, name] = replace(reservation, moved=True)

    def _forget_what_is_over(self) -> None:
        book, ledger = self.assignments.book, self.assignments.ledger
        for (address, name), reservation in list(self.releases.items()):
            reservation = replace(reservation, released=min(reservation.released, self.now))
            keeper = book.keeper(address, ledger.pool_of(address))
            rests = keeper is not None and self.now < reservation.released + keeper.pool.reuse_delay
            if rests or (keeper is not None and keeper.pool.retain and not reservation.moved):
                self.releases[address, name] = reservation
            else:
                del self.releases[address, name]

    def _kept_from(self, service: NamespacedName) -> set[IPAddress]:
        """What nobody holds and is kept for others, and what a stranger answers for."""
        others = {address for address, name in self.releases if name != service}
        own = {address for address, name in self.releases if name == service}
        return {a for a in others - own if a not in self.assignments.ledger} | {
            *self.assignments.ledger.quarantined
        }

    def _kept_from_being_given(self) -> dict[IPAddress, Any]:
        ledger, book = self.assignments.ledger, self.assignments.book
        quarantined = {a: each for a, each in ledger.quarantined.items() if book.owner(a) is not None}
        return {address: ledger.reservations(address) for address in ledger.reserved()} | quarantined

    def _record(self, address: IPAddress) -> ServiceAddress:
        """The record of an address, as it comes back from the API server with what its agent says."""
        record = self.assignments.record_of(address)
        assert record is not None
        conflict = {"type": "Conflict", "status": str(address in self.strangers), "lastTransitionTime": SOME_TIME}
        status = {"conditions": [conflict], "conflict": {"macAddress": "02:00:00:00:00:01"}}
        parsed = parse_service_address(manifest(record) | {"status": status})
        assert parsed is not None
        return parsed

    def _held(self) -> dict[str, list[str]]:
        ledger = self.assignments.ledger
        return {
            name: [str(address) for address in ledger.held_by(raw["metadata"]["uid"])]
            for name, raw in self.services.items()
        }


def _pool(name: str, spec: dict[str, Any]) -> Any:
    rest = {key: value for key, value in spec.items() if key != "addresses"}
    return pool(name, *spec["addresses"], **rest)


# HERALD_LONG=1 runs some 200,000 steps; without it this is a matter of seconds.
Cluster.TestCase.settings = settings(max_examples=4000 if LONG else 60, stateful_step_count=50 if LONG else 25)
TestCluster = Cluster.TestCase
