"""Random pools, Services, edits, deletions and restarts; what must hold is checked after every step."""

from __future__ import annotations

import ipaddress
import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from heraldlb.allocation.requests import Request, request_of
from heraldlb.allocation.sharing import blocker
from heraldlb.api.objects import NamespacedName
from heraldlb.api.services import parse_service
from heraldlb.controller.assignments import Assignments
from tests.unit.allocation.build import pool, service

NAMES = [f"s{number}" for number in range(6)]
POOLS = ["a", "b", "c"]

ENTRIES = [
    "10.0.0.0-10.0.0.2",
    "10.0.0.2-10.0.0.4",
    "10.0.0.1",
    "10.0.1.0/31",
    "10.0.9.9-10.0.9.1",
    "fd00::1-fd00::2",
    "fd00::2-fd00::3",
    "fd00:1::/127",
]
ADDRESSES = ["10.0.0.1", "10.0.0.2", "fd00::2", "10.0.0.3,fd00::1", "10.7.7.7"]
LONG = bool(os.environ.get("HERALD_LONG"))

entries = st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=3, unique=True)
pool_specs = st.fixed_dictionaries(
    {"addresses": entries},
    optional={
        "assignment": st.sampled_from(["Automatic", "OnRequest", "Paused"]),
        "priority": st.sampled_from([1, 100]),
        "namespaces": st.sampled_from([["x"], ["x", "y"]]),
        "excluded": st.sampled_from([["10.0.0.1"], ["fd00::2"]]),
        "maxPerNamespace": st.sampled_from([1, 2]),
    },
)
families = st.sampled_from(
    [
        {"ipFamilies": ["IPv4"]},
        {"ipFamilies": ["IPv6"]},
        {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"},
        {"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "RequireDualStack"},
    ]
)
annotations = st.fixed_dictionaries(
    {},
    optional={
        "heraldlb.io/addresses": st.sampled_from(
            ["10.0.0.1", "10.0.0.2", "fd00::2", "10.0.0.3,fd00::1", "10.7.7.7"]
        ),
        "heraldlb.io/address-pool": st.sampled_from([*POOLS, "none"]),
        "heraldlb.io/sharing-key": st.sampled_from(["k", "l"]),
        "heraldlb.io/sharing": st.just("Required"),
    },
)
ports = st.lists(st.sampled_from([80, 81, 443]), min_size=1, max_size=2, unique=True).map(
    lambda numbers: {"ports": [{"port": number, "protocol": "TCP"} for number in numbers]}
)
policies = st.sampled_from([{}, {"externalTrafficPolicy": "Local"}])


class Cluster(RuleBasedStateMachine):
    """A cluster whose controller decides every Service again after each change, as the queue would."""

    def __init__(self) -> None:
        super().__init__()
        self.assignments = Assignments()
        self.pools: dict[str, Any] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.clock = 0
        self.generation = 0

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
        namespace=st.sampled_from(["x", "y"]),
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
            self._revisit(self.assignments.leave(uid, self.assignments.ledger.held_by(uid), 0.0))

    @precondition(lambda self: self.services)
    @rule()
    def restart_the_controller(self) -> None:
        before = self._held()
        fresh = Assignments()
        fresh.replace_pools(self._parsed_pools())
        for name in sorted(self.services, key=lambda name: self.services[name]["metadata"]["creationTimestamp"]):
            asked = self._request(name)
            for address in self.assignments.ledger.held_by(asked.uid):
                assert fresh.adopt(asked, address, self.assignments.ledger.pool_of(address))
        self.assignments = fresh
        for name in self._oldest_first():
            self._visit(name)
        assert self._held() == before, "a restart changes nothing"

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
    def deciding_again_changes_nothing(self) -> None:
        before = self._held()
        for name in self._oldest_first():
            self._visit(name)
        assert self._held() == before

    def _pools_changed(self) -> None:
        kept_before = {name: held for name, held in self._held().items() if not self._wishes(name)}
        moved = self.assignments.replace_pools(self._parsed_pools())
        book = self.assignments.book
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
        asked = self._request(name)
        decision = self.assignments.decide(asked)
        self._revisit([key for key in decision.helped if key.name != name])
        self._revisit(self.assignments.leave(asked.uid, decision.leaving, 0.0, moved=True))

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
