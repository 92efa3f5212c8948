"""Which conntrack entries keep clients from the endpoints that their Service has now. Pure.

Netfilter consults the rules for the first packet of a connection only. A UDP client that keeps its port therefore
goes on to an endpoint that is gone, or, where it sent before the Service had one, to no endpoint at all; and so
does a TCP client that tries again and again, since its first SYN is remembered for two minutes. Once such an entry
is deleted, the next packet is the first.

Kept is what leads to any endpoint that serves, also where new connections go elsewhere (traffic policies, topology,
termination), as for kube-proxy: no change of a Service ends a connection. Nothing is deleted where no endpoint
serves, and never a TCP connection or SCTP association that was answered.
"""

from __future__ import annotations

from collections.abc import Iterator

from heraldlb.forwarding.conntrack import Flow
from heraldlb.forwarding.model import Backend, Frontend, Plan


def disturbed(old: Plan | None, new: Plan) -> frozenset[Frontend]:
    """The frontends that may have stale flows once `new` is in force, if there were none under `old`.

    They have lost an endpoint, or have one for the first time. `old` None: nothing is known, so all that have one.
    """
    frontends = _touched(old, new) if old is not None else iter(new.claims)
    return frozenset(frontend for frontend in frontends if _is_disturbed(old, new, frontend))


def is_stale(flow: Flow, plan: Plan) -> bool:
    """Whether this flow is to be forgotten, so that its next packet is forwarded as `plan` says."""
    if flow.frontend.protocol != "UDP" and not flow.half_open:
        return False
    serving = _serving(plan, flow.frontend)
    return bool(serving) and flow.backend not in serving


def _is_disturbed(old: Plan | None, new: Plan, frontend: Frontend) -> bool:
    after = _serving(new, frontend)
    before = _serving(old, frontend) if old is not None else frozenset()
    return bool(after) and not (before and before <= after)


def _touched(old: Plan, new: Plan) -> Iterator[Frontend]:
    """What Services claim that differ; also of those that are gone, since another may claim it."""
    for id_, after in new.services.items():
        before = old.services.get(id_)
        if before is not after and before != after:
            yield from after.servers
    for id_, before in old.services.items():
        if id_ not in new.services:
            yield from before.servers


def _serving(plan: Plan, frontend: Frontend) -> frozenset[Backend]:
    claimants = plan.claims.get(frontend)
    if not claimants:
        return frozenset()
    service = plan.services[claimants[0]]
    server = service.servers[frontend]
    return service.quiesced.union(server.backends, server.local_backends or ())
