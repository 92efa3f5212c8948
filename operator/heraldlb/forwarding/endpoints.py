"""Which endpoints of a Service get traffic, as the Kubernetes documentation of virtual IPs defines it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from heraldlb.api.endpoints import Endpoint, EndpointSlice
from heraldlb.api.ranges import Family, family_of
from heraldlb.api.services import ServicePort
from heraldlb.forwarding.model import Backend


@dataclass(frozen=True, slots=True)
class EndpointLists:
    """The backends of one Service port and family; both lists are in the same order on every node."""

    cluster: tuple[Backend, ...] = ()
    """Under traffic policy Cluster. Empty: no endpoint anywhere can serve."""
    local: tuple[Backend, ...] = ()
    """Under traffic policy Local: those on this node."""
    quiesced: tuple[Backend, ...] = ()
    """Others that serve: connections to them go on, but none are made."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An endpoint that listens on a Service's port, in whatever state it is."""

    backend: Backend
    endpoint: Endpoint


def choose(
    slices: Iterable[EndpointSlice],
    port: ServicePort,
    family: Family,
    *,
    node_name: str,
    zone: str,
    lost: Container[str] = (),
) -> EndpointLists:
    """The endpoints that listen on `port`, chosen for the node `node_name` in `zone` (empty: unknown).

    Ready endpoints are used, narrowed by topology hints for the Cluster list only; where there is none, those that
    still serve while terminating (KEP-1669). The two lists fall back independently.

    Endpoints on `lost` nodes, whose agents fell silent, are used only where no other can serve at all: the node
    may be alive and only its agent dead.
    """
    known = listeners(slices, port, family)
    reachable = [candidate for candidate in known if candidate.endpoint.node_name not in lost]
    lists = _choose(reachable, node_name, zone) or _choose(known, node_name, zone) or EndpointLists()
    return lists if len(lists.cluster) == len(known) else replace(lists, quiesced=_quiesced(known, lists))


def _choose(candidates: Sequence[Listener], node_name: str, zone: str) -> EndpointLists | None:
    """The lists from these, or None where none of them can serve."""
    ready = [candidate for candidate in candidates if candidate.endpoint.ready]
    draining = [c for c in candidates if c.endpoint.serving and c.endpoint.terminating]

    def here(candidate: Listener) -> bool:
        return candidate.endpoint.node_name == node_name

    if not (ready or draining):
        return None
    return EndpointLists(
        cluster=_backends(_near(ready, node_name, zone) or draining),
        local=_backends(list(filter(here, ready)) or list(filter(here, draining))),
    )


def listeners(slices: Iterable[EndpointSlice], port: ServicePort, family: Family) -> list[Listener]:
    """All endpoints of one family that listen on `port`, in the same order on every node."""
    found: dict[tuple[int, int], Listener] = {}
    for endpoint_slice in sorted(slices, key=lambda entry: entry.id):
        for target in endpoint_slice.ports:
            if (target.name, target.protocol) != (port.name, port.protocol):
                continue
            for endpoint in endpoint_slice.endpoints:
                if family_of(endpoint.address) != family:
                    continue
                listener = Listener(Backend(endpoint.address, target.port), endpoint)
                known = found.get(listener.backend.key)
                # An address that is reused while its former pod terminates stands in two slices for a while.
                if known is None or known.endpoint.terminating or not endpoint.terminating:
                    found[listener.backend.key] = listener
    return [found[key] for key in sorted(found)]


def _near(ready: Sequence[Listener], node_name: str, zone: str) -> Sequence[Listener]:
    """Those hinted at this node, else at its zone; hints count only where every endpoint has one (KEP-2433)."""
    for wanted, hints in ((node_name, attrgetter("node_hints")), (zone, attrgetter("zone_hints"))):
        if wanted and all(hints(candidate.endpoint) for candidate in ready):
            near = [candidate for candidate in ready if wanted in hints(candidate.endpoint)]
            if near:
                return near
    return ready


def _quiesced(known: Iterable[Listener], lists: EndpointLists) -> tuple[Backend, ...]:
    serving = _backends(candidate for candidate in known if candidate.endpoint.serving)
    return tuple(backend for backend in serving if backend not in lists.cluster)


def _backends(candidates: Iterable[Listener]) -> tuple[Backend, ...]:
    return tuple(candidate.backend for candidate in candidates)
