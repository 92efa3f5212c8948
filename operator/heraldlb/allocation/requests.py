"""What a Service asks for, read from its standard fields, our annotations and their aliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from heraldlb.api.group import (
    ADDRESS_POOL_ALIASES,
    ADDRESS_POOL_ANNOTATION,
    ADDRESSES_ALIASES,
    ADDRESSES_ANNOTATION,
    SHARING_ANNOTATION,
    SHARING_KEY_ALIASES,
    SHARING_KEY_ANNOTATION,
)
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import Family, IPAddress, RangeError, family_of, parse_address
from heraldlb.api.serviceaddress import HeldPort, Holder, holder_of
from heraldlb.api.services import Service

_LOAD_BALANCER_IP = "spec.loadBalancerIP"


@dataclass(frozen=True, slots=True)
class Request:
    """A Service as the allocator sees it."""

    holder: Holder
    created: str = ""
    families: tuple[Family, ...] = ("IPv4",)
    require_all: bool = False
    """`RequireDualStack`: all families or none."""
    addresses: tuple[IPAddress, ...] = ()
    pool: str = ""
    sharing_key: str = ""
    must_share: bool = False
    backend: tuple[tuple[str, str], ...] | None = None
    """The Service's selector under `externalTrafficPolicy: Local`, else None: sharers must agree on it."""
    shown: tuple[IPAddress, ...] = ()
    """The addresses that the Service's status shows: of several that it holds, those are the ones to keep."""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    """What is contradictory or unreadable in the request; nothing new is assigned while it stands."""

    @property
    def service(self) -> NamespacedName:
        """The Service that asks."""
        return self.holder.service

    @property
    def uid(self) -> str:
        """Its uid: a Service deleted and made again under one name is another one."""
        return self.holder.uid

    @property
    def ports(self) -> tuple[HeldPort, ...]:
        """The ports it will serve on its address."""
        return self.holder.ports

    @property
    def age(self) -> tuple[str, NamespacedName]:
        """Oldest first: the order in which pending requests are served."""
        return (self.created, self.holder.service)

    def wanted(self, family: Family) -> IPAddress | None:
        """The address asked for by name, of that family."""
        return next((address for address in self.addresses if family_of(address) == family), None)


def request_of(service: Service, namespace_labels: Mapping[str, str], *, aliases: bool = True) -> Request:
    """The request that a Service makes. With `aliases` other projects' annotations count as ours do."""
    problems: list[str] = []
    addresses = _wanted_addresses(service, aliases, problems)
    pool = _agreed(service, ADDRESS_POOL_ANNOTATION, ADDRESS_POOL_ALIASES if aliases else (), problems)
    key = _agreed(service, SHARING_KEY_ANNOTATION, SHARING_KEY_ALIASES if aliases else (), problems)
    return Request(
        holder=holder_of(service),
        created=service.created,
        families=service.families,
        require_all=service.family_policy == "RequireDualStack",
        addresses=addresses,
        pool=pool,
        sharing_key=key,
        must_share=service.annotations.get(SHARING_ANNOTATION) == "Required",
        backend=tuple(sorted(service.selector.items())) if service.external_local else None,
        shown=service.ingress,
        labels=service.labels,
        namespace_labels=namespace_labels,
        problem="; ".join(problems),
    )


def _agreed(service: Service, name: str, aliases: tuple[str, ...], problems: list[str]) -> str:
    """The one value that the annotation and its aliases agree on."""
    said = {key: service.annotations[key].strip() for key in (name, *aliases) if key in service.annotations}
    if len(set(said.values())) > 1:
        problems.append(_disagreement(said))
        return ""
    return next(iter(said.values()), "")


def _wanted_addresses(service: Service, aliases: bool, problems: list[str]) -> tuple[IPAddress, ...]:
    sources = (ADDRESSES_ANNOTATION, *(ADDRESSES_ALIASES if aliases else ()))
    said = {key: service.annotations[key] for key in sources if key in service.annotations}
    if service.load_balancer_ip:
        said[_LOAD_BALANCER_IP] = service.load_balancer_ip
    wishes: dict[str, tuple[IPAddress, ...]] = {}
    for source, written in said.items():
        try:
            wishes[source] = tuple(parse_address(part) for part in written.split(",") if part.strip())
        except RangeError as error:
            problems.append(f"{source}: {error}")
    if len({frozenset(wish) for wish in wishes.values()}) > 1:
        problems.append(_disagreement({source: said[source] for source in wishes}))
        return ()
    wish = next(iter(wishes.items()), None)
    if wish is None:
        return ()
    problems.extend(_misfits(service, *wish))
    return wish[1]


def _misfits(service: Service, source: str, addresses: tuple[IPAddress, ...]) -> list[str]:
    problems = []
    families = [family_of(address) for address in addresses]
    for family in sorted(set(families)):
        named = ", ".join(str(address) for address in addresses if family_of(address) == family)
        if families.count(family) > 1:
            problems.append(f"{source} names {families.count(family)} {family} addresses ({named}): name one")
        if family not in service.families:
            problems.append(
                f"{source} names {named}, but the Service has no {family}: spec.ipFamilies is"
                f" [{', '.join(service.families)}]"
            )
    return problems


def _disagreement(said: Mapping[str, str]) -> str:
    listed = ", ".join(f'{source} says "{value}"' for source, value in sorted(said.items()))
    return f"{listed}: keep one of them, or make them agree"
