"""Which ports of a Service have connections that outlive their announcing node, and why others have not. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from heraldlb.api.endpoints import EndpointSlice
from heraldlb.api.group import CONNECTION_SURVIVAL_ANNOTATION
from heraldlb.api.ranges import Family, IPAddress
from heraldlb.api.reasons import Reason
from heraldlb.api.services import Service, ServicePort
from heraldlb.forwarding.endpoints import choose, listeners
from heraldlb.forwarding.model import Candidate, Objection
from heraldlb.forwarding.slots import usable

_QUOTED: Final = 60
"""Characters of what a user wrote that a message quotes."""


@dataclass(frozen=True, slots=True)
class SurvivalWish:
    """What comes of a Service's wish."""

    granted: bool = False
    objections: tuple[Objection, ...] = ()
    """Only what was asked for by the Service itself is objected to, not the cluster's default."""

    def survives(self, port: ServicePort) -> bool:
        """Whether connections of this port survive."""
        return self.granted and port.protocol != "SCTP"


_NO: Final = SurvivalWish()
_MEANINGS: Final = {"true": True, "false": False}


def asks(service: Service) -> bool | None:
    """What the Service itself says; None where that is nothing that counts."""
    return _MEANINGS.get(_wording(service))


def wish_of(service: Service, slices: Iterable[EndpointSlice], *, default: bool) -> SurvivalWish:
    """What the Service asks for, or else the cluster's default, as far as it can be given."""
    text, asked = _wording(service), asks(service)
    if service.type != "LoadBalancer" or not (text or default):
        return _NO
    wanted = default if asked is None else asked
    obstacles = tuple(_obstacles(service, slices)) if wanted else ()
    complaints: list[str] = []
    if text and asked is None:
        counts = "true" if default else "false"
        complaints.append(
            f'"{text[:_QUOTED]}" is neither "true" nor "false"; the cluster\'s default counts, {counts}'
        )
    if asked:
        complaints += (*obstacles, *_omissions(service))
    return SurvivalWish(
        wanted and not obstacles,
        tuple(
            Objection(Reason.CONNECTION_SURVIVAL_REFUSED, f"{CONNECTION_SURVIVAL_ANNOTATION}: {complaint}")
            for complaint in complaints
        ),
    )


def _wording(service: Service) -> str:
    return service.annotations.get(CONNECTION_SURVIVAL_ANNOTATION, "").strip().lower()


def _obstacles(service: Service, slices: Iterable[EndpointSlice]) -> Iterator[str]:
    plainly = "the Service is forwarded as without it"
    if service.session_affinity_seconds:
        yield (
            f"not together with sessionAffinity ClientIP, whose time-out nodes would have to share; {plainly}."
            " Remove one of them"
        )
    if service.external_local:
        yield (
            "not together with externalTrafficPolicy Local, whose connections end with the node that they came"
            f" through; {plainly}. Write Cluster: endpoints see the clients' addresses all the same"
        )
    strays = (each.address for slice_ in slices for each in slice_.endpoints if not each.node_name)
    if (stray := next(strays, None)) is not None:
        yield (
            f"the endpoint {stray} is on no node of the cluster, so that its answers would not find their way;"
            f" {plainly}. Give it a nodeName in its EndpointSlice, or remove the annotation"
        )


def _omissions(service: Service) -> Iterator[str]:
    for port in service.ports:
        if port.protocol == "SCTP":
            yield (
                f"port {port.port} of SCTP is forwarded as without it, since an association has several addresses"
                " at either end"
            )


def candidates_of(
    slices: Iterable[EndpointSlice],
    port: ServicePort,
    family: Family,
    weights: Mapping[IPAddress, int],
    lost: Container[str],
) -> tuple[Candidate, ...]:
    """All endpoints of a port. Which are eligible is the same for every node, so topology hints do not count.

    `weights`: of endpoints, where it is not 1.
    """
    slices = tuple(slices)
    takers = choose(slices, port, family, node_name="", zone="", lost=lost).cluster
    eligible, _ = usable(takers, [weights.get(backend.address, 1) for backend in takers])
    return tuple(
        Candidate(
            listener.backend,
            listener.endpoint.node_name,
            # Who gets nothing any more has its place in the order still, for the sake of the connections it has.
            weights.get(listener.backend.address, 1) or 1,
            listener.backend in eligible,
            listener.endpoint.terminating,
        )
        for listener in listeners(slices, port, family)
    )
