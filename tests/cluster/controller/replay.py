"""Random histories, lived through twice: by a real controller at the API server, and by the pure rules alone."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from heraldlb.allocation.allocator import Outcome
from heraldlb.allocation.requests import Request, request_of
from heraldlb.api.addresspool import parse_pool
from heraldlb.api.objects import NamespacedName
from heraldlb.api.services import parse_service
from heraldlb.controller.assignments import Assignments
from tests.cluster.controller.api import ALL_SERVICES, POOLS, RECORDS, Body
from tests.cluster.controller.tenant import CONDITION, Tenant, service_port, shown_by
from tests.unit.allocation.histories import ApplyPool, ApplyService, DeletePool, DeleteService, Step

POOL = "heraldlb.io/address-pool"


@dataclass(frozen=True, slots=True)
class Standing:
    """What has become of one Service."""

    addresses: list[str]
    reason: str
    satisfied: bool


@dataclass(frozen=True, slots=True)
class State:
    """What users see: each Service by namespace and name, and who is recorded for each address."""

    services: dict[str, Standing]
    records: dict[str, list[str]]

    def __sub__(self, other: State) -> str:
        """Where they differ, in words; empty if they do not."""
        differing = [
            f"{key}: {mine.get(key)}, not {theirs.get(key)}"
            for mine, theirs in ((self.services, other.services), (self.records, other.records))
            for key in sorted({*mine, *theirs})
            if mine.get(key) != theirs.get(key)
        ]
        return "\n".join(differing)


@dataclass
class Stage:
    """Where the history happens at the API server: two namespaces, and pools that serve nobody else."""

    tenants: dict[str, Tenant]
    """By the namespace's name in the history; the first owns the pools."""
    placed: dict[str, str] = field(default_factory=dict)
    """The namespace of each Service that is there."""
    pools: set[str] = field(default_factory=set)

    def act(self, step: Step) -> None:
        """Have the step happen. What the API server does not allow to be edited is deleted and made again."""
        match step:
            case ApplyPool(name, spec):
                allowed = [self.tenants[each].namespace for each in spec.get("namespaces", self.tenants)]
                if name in self.pools:
                    self.owner.replace_pool(name, **spec | {"namespaces": allowed})
                else:
                    entries = spec["addresses"]
                    rest = {key: value for key, value in spec.items() if key != "addresses"}
                    self.owner.pool(name, *entries, **rest | {"namespaces": allowed})
                self.pools.add(name)
                self.owner.await_pool_seen(name)
            case DeletePool(name):
                self.owner.delete_pool(name)
                self.pools.discard(name)
            case ApplyService():
                self._apply(step)
            case DeleteService(name):
                self._delete(name)

    @property
    def owner(self) -> Tenant:
        """Whose names the pools bear."""
        return next(iter(self.tenants.values()))

    def _apply(self, step: ApplyService) -> None:
        tenant = self.tenants[step.namespace]
        wishes = dict(step.wishes)
        if POOL in wishes:
            wishes[POOL] = self.owner.pool_name(wishes[POOL])
        spec: Body = {"ipFamilyPolicy": "SingleStack", "externalTrafficPolicy": "Cluster", **step.spec}
        spec["ports"] = [service_port(each["port"]) for each in step.spec["ports"]]
        if self.placed.get(step.name) == step.namespace:
            present = tenant.get(step.name)
            if present["spec"]["ipFamilies"][0] == spec["ipFamilies"][0]:
                tenant.replace(step.name, wishes, spec)
                return
        self._delete(step.name)
        ports = [each["port"] for each in spec.pop("ports")]
        tenant.service(step.name, families=spec.pop("ipFamilies"), ports=ports, annotations=wishes, **spec)
        self.placed[step.name] = step.namespace

    def _delete(self, name: str) -> None:
        if namespace := self.placed.pop(name, ""):
            self.tenants[namespace].delete(name)

    def objects(self) -> tuple[list[Body], list[Body]]:
        """Every pool of the cluster, and the history's Services."""
        api, own = self.owner.api, {tenant.namespace for tenant in self.tenants.values()}
        services = [body for body in api.every(ALL_SERVICES) if body["metadata"]["namespace"] in own]
        return api.every(POOLS), services

    def state(self) -> State:
        """What users see."""
        own = {tenant.namespace for tenant in self.tenants.values()}
        services = {}
        for body in self.objects()[1]:
            entries = body["status"].get("conditions") or ()
            condition = next((entry for entry in entries if entry["type"] == CONDITION), {})
            standing = Standing(shown_by(body), condition.get("reason", ""), condition.get("status") == "True")
            services[_key(body)] = standing
        records = {}
        for record in self.owner.api.every(RECORDS):
            holders = [f"{each['namespace']}/{each['name']}" for each in record["spec"]["services"]]
            if any(each.partition("/")[0] in own for each in holders):
                records[record["spec"]["address"]] = sorted(holders)
        return State(services, records)


@dataclass
class Model:
    """The pure rules, applied to the objects as they are at the API server, without anything between."""

    assignments: Assignments = field(default_factory=Assignments)
    requests: dict[NamespacedName, Request] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def take_in(self, pools: list[Body], services: list[Body]) -> None:
        """One step has led to these objects."""
        requests = {request.service: request for request in (_request(body) for body in services)}
        gone = [former for key, former in self.requests.items() if _uid(requests.get(key)) != former.uid]
        changed = [key for key, request in requests.items() if request != self.requests.get(key)]
        self.requests = requests
        due: set[NamespacedName] = set(changed)
        for former in gone:
            self.assignments.forget(former.service)
            self.outcomes.pop(str(former.service), None)
            held = self.assignments.ledger.held_by(former.uid)
            due.update(self.assignments.leave(former.uid, held, time.time()))
        due.update(self.assignments.replace_pools(map(parse_pool, pools)))
        self._work(due | set(self.assignments.waiting()))

    def restart(self, pools: list[Body]) -> None:
        """A new controller takes over what is held, and looks at everyone."""
        before, self.assignments = self.assignments, Assignments()
        self.assignments.replace_pools(map(parse_pool, pools))
        for request in self._oldest_first(self.requests):
            for address in before.ledger.held_by(request.uid):
                self.assignments.adopt(request, address, before.ledger.pool_of(address))
        self._work(set(self.requests))

    def _work(self, due: set[NamespacedName]) -> None:
        """Rounds, as the controller has them: all who are due are decided before any address is left."""
        while due:
            batch, due = self._oldest_first(due), set()
            leaving = []
            for request in batch:
                decision = self.assignments.decide(request)
                self.outcomes[str(request.service)] = decision.outcome
                due.update(decision.helped)
                leaving.append((request.uid, decision.leaving))
            for uid, addresses in leaving:
                due.update(self.assignments.leave(uid, addresses, time.time(), moved=True))

    def _oldest_first(self, keys: Iterable[NamespacedName]) -> list[Request]:
        requests = [self.requests[key] for key in keys if key in self.requests]
        return sorted(requests, key=lambda request: request.age)

    def state(self) -> State:
        """What users must see."""
        services = {
            name: Standing([str(grant.address) for grant in outcome.grants], outcome.reason, outcome.satisfied)
            for name, outcome in self.outcomes.items()
        }
        ledger = self.assignments.ledger
        records = {
            str(address): sorted(str(holding.service) for holding in ledger.holdings(address)) for address in ledger
        }
        return State(services, records)


def _request(body: Body) -> Request:
    return request_of(parse_service({key: body[key] for key in ("metadata", "spec")}), {})


def _uid(request: Request | None) -> str:
    return request.uid if request is not None else ""


def _key(body: Body) -> str:
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"
