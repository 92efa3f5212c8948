"""What an edit would do: to pools, to Services, and to who announces their addresses. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from heraldlb.agent.announceable import Rules, rules
from heraldlb.api.conditions import is_true
from heraldlb.api.objects import NamespacedName, text
from heraldlb.api.ranges import FAMILIES, Family, IPAddress
from heraldlb.api.reasons import Reason
from heraldlb.api.times import written
from heraldlb.cli.kubectl.installation import Installation
from heraldlb.cli.kubectl.plan.edit import Action, Edit
from heraldlb.cli.kubectl.plan.reach import Reach, ReachChange, reach
from heraldlb.cli.kubectl.snapshot import Snapshot, agent_view, controller_view
from heraldlb.controller.announcement_status import announcement_status
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.cluster import Cluster
from heraldlb.controller.pool_status import pool_status
from heraldlb.planning.changes import Change, Fate, change_of
from heraldlb.planning.forecast import Forecast


@dataclass(frozen=True, slots=True)
class PoolOutlook:
    """What the controller would write about one pool of the edit."""

    name: str
    capacity: Mapping[Family, int]
    assigned: Mapping[Family, int]
    available: Mapping[Family, int]
    problems: tuple[str, ...]
    """The messages of its conditions that are not as they should be."""
    ready: bool


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What an edit would do."""

    edits: tuple[Edit, ...]
    pools: tuple[PoolOutlook, ...]
    announcements: Mapping[str, str]
    """What is wrong with each L2Announcement of the edit, if anything is."""
    services: tuple[Change, ...]
    """Every LoadBalancer Service that Herald serves."""
    reach: tuple[ReachChange, ...]
    """Addresses whose announcing changes."""
    unread: Mapping[str, str]
    """What could not be read, and why."""

    @property
    def harms(self) -> bool:
        """Whether something is refused, or a Service would not be reached where it is now."""
        return (
            any(edit.refused for edit in self.edits)
            or any(not pool.ready for pool in self.pools)
            or any(change.fate.breaks for change in self.services)
            or any(change.silenced for change in self.reach)
        )


def plan_report(before: Snapshot, after: Snapshot, edits: tuple[Edit, ...], herald: Installation) -> PlanReport:
    """The report on two snapshots, of which the second is the first with the edits."""
    old, new = controller_view(before), controller_view(after)
    forecast = Forecast(old, herald.controller_settings, old.address_pools(), before.now)
    held = {service: forecast.held(service) for service in forecast.outcomes}
    reach_before = _reach(forecast.assignments, before, herald)
    forecast.replace_pools(new.address_pools())
    reach_after = _reach(forecast.assignments, after, herald)
    services = (_change(name, held[name], forecast) for name in sorted(forecast.outcomes))
    now = written(before.now)
    return PlanReport(
        edits=edits,
        pools=tuple(_outlooks(edits, forecast.assignments, now)),
        announcements=dict(_troubled(edits, new, now)),
        services=tuple(services),
        reach=tuple(_reach_changes(reach_before, reach_after, forecast.assignments)),
        unread=before.unread,
    )


def _change(service: NamespacedName, before: tuple[IPAddress, ...], forecast: Forecast) -> Change:
    """With the reason for what goes, which the controller does not tell once it has found something else."""
    change = change_of(service, before, forecast.outcomes[service])
    gone = [address for address in before if address not in change.after]
    lost = [str(address) for address in gone if forecast.assignments.book.owner(address) is None]
    if change.fate is Fate.MOVES and lost:
        return replace(change, message=f"no pool has {', '.join(lost)} any more; {change.message}")
    return change


def _outlooks(edits: Iterable[Edit], assignments: Assignments, now: str) -> Iterable[PoolOutlook]:
    wrong = {"Ready": "False", "Overlapping": "True", "Exhausted": "True"}
    for edit in edits:
        booked = assignments.book.get(edit.name)
        if edit.kind != "AddressPool" or edit.refused or booked is None:
            continue
        status = pool_status(booked, assignments.book, assignments.ledger, {}, now)
        counts = {family: status[family.lower()] for family in FAMILIES if status[family.lower()]["capacity"]}
        conditions = status["conditions"]
        yield PoolOutlook(
            edit.name,
            {family: count["capacity"] for family, count in counts.items()},
            {family: count["assigned"] for family, count in counts.items()},
            {family: count["available"] for family, count in counts.items()},
            tuple(each["message"] for each in conditions if wrong.get(each["type"]) == each["status"]),
            is_true(conditions, "Ready"),
        )


def _troubled(edits: Iterable[Edit], view: Cluster, now: str) -> Iterable[tuple[str, str]]:
    """What the controller would write about the L2Announcements, where it would write something bad."""
    named = {edit.name for edit in edits if edit.kind == "L2Announcement" and edit.action is not Action.DELETE}
    for policy in view.announcements.values():
        if policy.spec.name in named:
            [ready] = announcement_status(policy.spec, view, {}, now)["conditions"]
            # That a selector matches no node says nothing where no nodes are known.
            if ready["status"] == "False" and (len(view.nodes) or ready["reason"] != Reason.NO_ELIGIBLE_NODE):
                yield policy.spec.name, text(ready, "message")


def _reach(assignments: Assignments, snapshot: Snapshot, herald: Installation) -> dict[IPAddress, Reach]:
    view = agent_view(snapshot)
    under: Rules = rules(
        view, ignore_exclude_label=herald.ignores_exclude_label, ignore_cordon=herald.ignores_cordon
    )
    services = {service.id: service for service in view.services.values()}
    records = (assignments.record_of(address) for address in assignments.ledger)
    return {record.address: reach(record, services, under) for record in records if record is not None}


def _reach_changes(
    before: Mapping[IPAddress, Reach], after: Mapping[IPAddress, Reach], assignments: Assignments
) -> Iterable[ReachChange]:
    for address in sorted(after, key=lambda each: (each.version, int(each))):
        known = before.get(address)
        if known != after[address] if known is not None else not after[address].nodes:
            holders = tuple(holding.service for holding in assignments.ledger.holdings(address))
            yield ReachChange(address, holders, known, after[address])
