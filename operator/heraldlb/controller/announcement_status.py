"""An L2Announcement's status as it should be. Pure."""

from __future__ import annotations

from typing import Any

from heraldlb.api.announcements import L2Announcement
from heraldlb.api.conditions import Condition, merge
from heraldlb.api.objects import Raw, sequence
from heraldlb.api.reasons import Reason
from heraldlb.controller.cluster import Cluster


def announcement_status(policy: L2Announcement, cluster: Cluster, before: Raw, now: str) -> dict[str, Any]:
    """The whole status. `now` is RFC 3339."""
    nodes = sum(policy.admits(node) for node in cluster.nodes.values())
    covered = {
        service.id
        for record in cluster.records.values()
        for service in (cluster.services.get(holder.service) for holder in record.holders)
        if service is not None and policy.covers(record.pool, [service])
    }
    return {
        "observedGeneration": policy.generation,
        "conditions": merge(sequence(before, "conditions"), [_ready(policy, cluster, nodes)], now),
        "matchedServices": len(covered),
        "matchedNodes": nodes,
    }


def _ready(policy: L2Announcement, cluster: Cluster, nodes: int) -> Condition:
    known = {pool.name for pool in cluster.address_pools()}
    if missing := sorted(policy.pools - known):
        listed = ", ".join(f'"{name}"' for name in missing)
        message = f"spec.addressPools names {listed}, which does not exist: create it, or correct the name"
        return Condition("Ready", False, Reason.POOL_NOT_FOUND, message, policy.generation)
    if not nodes:
        message = "spec.nodeSelector matches no node: nothing that only this policy covers is announced"
        return Condition("Ready", False, Reason.NO_ELIGIBLE_NODE, message, policy.generation)
    return Condition(
        "Ready", True, Reason.ANNOUNCING, f"{nodes} nodes may announce what it covers", policy.generation
    )
