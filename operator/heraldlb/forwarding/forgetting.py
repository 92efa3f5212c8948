"""Which of what packets have written of their clients is no longer true: the backend has gone. Pure.

Nothing else would take such a client elsewhere, since each new connection renews what is known of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import Family
from heraldlb.forwarding.actual import Learned
from heraldlb.forwarding.affinity import AFFINITY, group_of
from heraldlb.forwarding.frame import WORDS
from heraldlb.forwarding.model import Backend, Plan, ServicePlan

Ties = frozenset[tuple[int, Backend]]
"""Backends that clients of a group may be tied to."""

_MOMENT: Final = "1s"


def ties(plan: Plan) -> Ties:
    """All that the plan allows."""
    return frozenset(tie for service in plan.services.values() for tie in _ties(service))


def severed(old: Plan, new: Plan, touched: Iterable[NamespacedName]) -> Ties:
    """Those that `old` allows and `new` does not, as far as these Services are concerned."""
    return frozenset(
        tie
        for id_ in touched
        if (before := old.services.get(id_)) is not None
        for tie in set(_ties(before)) - set(_ties(new.services.get(id_)))
    )


def untrue(learned: Mapping[Family, Iterable[Learned]], allowed: Ties, gone: Ties | None) -> str:
    """Text for `nft -f` that deletes what is about ties that are `gone`; None: all that are not `allowed`.

    Empty where there is nothing of the kind. The key of an IPv6 element does not tell its group (see `affinity`).
    There the address decides: of a backend that Services share and one gives up, the clients of all are forgotten.
    """
    return "".join(
        statement
        for family, elements in learned.items()
        for statement in _deletions(family, tuple(elements), allowed, gone)
    )


def _ties(service: ServicePlan | None) -> Iterator[tuple[int, Backend]]:
    for server in service.servers.values() if service is not None else ():
        if server.affinity is not None:
            for backend in (*server.backends, *(server.local_backends or ())):
                yield server.affinity.group, backend


def _deletions(family: Family, elements: tuple[Learned, ...], allowed: Ties, gone: Ties | None) -> Iterator[str]:
    marks = {_mark(family, group, backend) for group, backend in (allowed if gone is None else gone)}
    keys = {
        element.key.text
        for element in elements
        if element.key.map == AFFINITY and (_mark_of(family, element) in marks) == (gone is not None)
    }
    for element in elements:
        if element.key.text in keys:
            # Deleting what has expired meanwhile would be refused, so it is made to be there.
            target = f"element {WORDS[family].table} {element.key.map}"
            yield f"add {target} {{ {element.key.text} timeout {_MOMENT} : {element.value} }}\n"
            yield f"delete {target} {{ {element.key.text} }}\n"


def _mark(family: Family, group: int, backend: Backend) -> tuple[int, str]:
    """What an element tells of a tie."""
    if family == "IPv4":
        return group >> 64, f"{backend.address} . {backend.port}"
    return 0, str(backend.address)


def _mark_of(family: Family, element: Learned) -> tuple[int, str]:
    if family == "IPv4":
        return group_of(element.key.text), element.value
    return 0, str(ip_address(element.value))
