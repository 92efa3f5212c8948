"""From where an address would be announced, as far as objects decide. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from heraldlb.agent.announceable import Rules, combine, covering
from heraldlb.api.announcements import Balancing, InterfaceFilter
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import ServiceAddress
from heraldlb.api.services import Service


@dataclass(frozen=True, slots=True)
class Reach:
    """Who may announce one address. Which interfaces nodes have, and where endpoints are, is not looked at."""

    policies: tuple[str, ...]
    """The L2Announcements that cover it."""
    nodes: tuple[str, ...]
    """Nodes that they select and that nothing else hinders."""
    interfaces: InterfaceFilter
    per_client: bool


@dataclass(frozen=True, slots=True)
class ReachChange:
    """One address before and after."""

    address: IPAddress
    services: tuple[NamespacedName, ...]
    before: Reach | None
    """None: nobody had it."""
    after: Reach

    @property
    def silenced(self) -> bool:
        """Whether no node may announce it any more."""
        return self.before is not None and bool(self.before.nodes) and not self.after.nodes


def reach(record: ServiceAddress, services: Mapping[NamespacedName, Service], under: Rules) -> Reach:
    """Who may announce the address of a record."""
    holders = [services[holder.service] for holder in record.holders if holder.service in services]
    policies = covering(under, record, holders)
    selected = under.nodes_under(policies)
    return Reach(
        policies=tuple(sorted(policy.announcement.name for policy in policies)),
        nodes=tuple(sorted(name for name in selected if not under.nodes.get(name))),
        interfaces=combine([policy.announcement.interfaces for policy in policies]),
        per_client=any(policy.announcement.balancing == Balancing.PER_CLIENT for policy in policies),
    )
