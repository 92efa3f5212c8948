"""When two Services may hold one address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from heraldlb.allocation.ledger import Holding
from heraldlb.api.group import SHARING_KEY_ANNOTATION
from heraldlb.api.reasons import Reason


@dataclass(frozen=True, slots=True)
class Blocker:
    """The first reason for which an address cannot be held together, naming who stands in the way."""

    reason: Reason
    message: str


def blocker(newcomer: Holding, others: Iterable[Holding]) -> Blocker | None:
    """Why `newcomer` may not join `others` on their address, or None where it may.

    All must have one sharing key, no equal protocol and port, and, if any has `externalTrafficPolicy: Local`,
    all must have Local and the same selector: otherwise traffic would reach a node without the right endpoints.
    """
    for other in others:
        if not other.sharing_key or not newcomer.sharing_key:
            return Blocker(
                Reason.ADDRESS_IN_USE,
                f"held by {other.service}; to share it, give both Services one {SHARING_KEY_ANNOTATION}",
            )
        if other.sharing_key != newcomer.sharing_key:
            return Blocker(
                Reason.SHARING_REFUSED,
                f'held by {other.service} under the sharing key "{other.sharing_key}",'
                f' not "{newcomer.sharing_key}"',
            )
        if common := sorted(set(other.ports) & set(newcomer.ports)):
            listed = ", ".join(f"{held.protocol} {held.port}" for held in common)
            return Blocker(Reason.SHARING_REFUSED, f"{other.service} serves {listed} on it already")
        if other.backend != newcomer.backend:
            return Blocker(
                Reason.SHARING_REFUSED,
                f"{other.service} differs in externalTrafficPolicy or selector;"
                " with Local all sharers must have Local and the same selector",
            )
    return None
