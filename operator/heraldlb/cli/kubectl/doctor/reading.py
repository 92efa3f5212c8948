"""Reads all that an examination needs: the cluster, its agents, and through them the network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from heraldlb import __version__
from heraldlb.api.objects import Raw, mapping, text
from heraldlb.cli.kubectl.doctor.asking import answered, examine, reading, survey, unanswered
from heraldlb.cli.kubectl.doctor.probing import questions
from heraldlb.cli.kubectl.doctor.rights import Right, is_allowed, needed
from heraldlb.cli.kubectl.doctor.seen import Beside, Reading, Seen
from heraldlb.cli.kubectl.doctor.workloads import Workload, is_static, parse_workload
from heraldlb.cli.kubectl.exits import CommandError, Exit
from heraldlb.cli.kubectl.installation import Installation, Instance, installation
from heraldlb.cli.kubectl.migrate.foreign import newest
from heraldlb.cli.kubectl.reading import read
from heraldlb.cli.kubectl.snapshot import Snapshot
from heraldlb.kube.client import (
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    Api,
    ApiError,
    Resource,
)

_KINDS: Final = ("pools", "announcements", "records", "services", "nodes", "pods", "leases")

_SYSTEM: Final = "kube-system"
"""Where kubeadm and others have nodes run load balancers by themselves."""

_RUNNING: Final[Mapping[str, tuple[Resource, str]]] = {
    "Deployment": (DEPLOYMENTS, ""),
    "DaemonSet": (DAEMON_SETS, ""),
    "Pod": (PODS, _SYSTEM),
}


async def examine_cluster(api: Api, *, node: str, probes: bool) -> Seen:
    """Everything, of all nodes or of one. Raises CommandError, ApiError, ApiUnavailableError."""
    snapshot = await read(api, *_KINDS)
    if node and "nodes" not in snapshot.unread and node not in _names(snapshot):
        raise CommandError(f"there is no Node {node}", Exit.NOT_FOUND)
    herald = installation(snapshot)
    agents = _one_a_node(herald, node)
    told, beside, denied, server = await asyncio.gather(
        examine(api, agents),
        _beside(api),
        _denied(api, needed((each.pod.namespace for each in herald.agents), probes=probes)),
        _server_clock(api),
    )
    seen = Seen(
        snapshot=snapshot,
        herald=herald,
        version=__version__,
        node=node,
        examined=answered(told),
        unasked=unanswered(told),
        probes=probes,
        beside=beside,
        denied=denied,
        server=server,
    )
    if not probes:
        return seen
    found = await survey(api, agents, questions(seen))
    return replace(seen, surveyed=answered(found), unsurveyed=unanswered(found))


def _names(snapshot: Snapshot) -> set[str]:
    return {text(raw, "metadata", "name") for raw in snapshot.nodes}


def _one_a_node(herald: Installation, only: str) -> list[Instance]:
    nodes = sorted({agent.node for agent in herald.agents if agent.node and only in ("", agent.node)})
    return [agent for node in nodes if (agent := herald.agent_on(node)) is not None]


async def _server_clock(api: Api) -> Reading | None:
    asked = time.time()
    clock = await api.clock()
    return None if clock is None else reading(clock, asked, time.time(), 1.0)


async def _denied(api: Api, rights: Iterable[Right]) -> tuple[Right, ...]:
    wanted = tuple(rights)
    allowed = await asyncio.gather(*(_allowed(api, right) for right in wanted))
    return tuple(right for right, may in zip(wanted, allowed, strict=True) if not may)


async def _allowed(api: Api, right: Right) -> bool:
    """Everybody may ask that of himself. Where not, what is lacking shows when it is read."""
    try:
        return is_allowed(await api.create(SELF_SUBJECT_ACCESS_REVIEWS, right.review))
    except ApiError:
        return True


async def _beside(api: Api) -> Beside:
    unread: list[str] = []
    listed = await asyncio.gather(*(_workloads(api, kind, unread) for kind in _RUNNING))
    pools = await _cilium_pools(api, unread)
    return Beside(
        workloads=tuple(workload for workloads in listed for workload in workloads),
        cilium_pools=pools,
        cilium_default=await _cilium_default(api) if pools else "",
        unread=f"these credentials may not list {', '.join(unread)}" if unread else "",
    )


async def _workloads(api: Api, kind: str, unread: list[str]) -> list[Workload]:
    resource, namespace = _RUNNING[kind]
    try:
        items, _ = await api.list(resource, {}, namespace)
    except ApiError as error:
        if error.status != 403:
            raise
        unread.append(str(resource))
        return []
    return [parse_workload(kind, raw) for raw in items if kind != "Pod" or is_static(raw)]


async def _cilium_pools(api: Api, unread: list[str]) -> tuple[str, ...]:
    try:
        found = await newest(api, "cilium.io", ("v2", "v2alpha1"), "ciliumloadbalancerippools")
    except ApiError as error:
        if error.status != 403:
            raise
        # Who lacks the right is not told either whether there is such a kind.
        unread.append("ciliumloadbalancerippools.cilium.io")
        return ()
    return tuple(
        text(each.raw, "metadata", "name")
        for each in found
        if mapping(each.raw, "spec").get("disabled") is not True
    )


async def _cilium_default(api: Api) -> str:
    try:
        found: Raw = await api.get(CONFIG_MAPS, "cilium-config", _SYSTEM)
    except ApiError:
        return ""
    return text(found, "data", "default-lb-service-ipam")
