"""What Herald reads of a `v1` Node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from heraldlb.api.conditions import is_true
from heraldlb.api.group import EXCLUDE_NODE_LABEL
from heraldlb.api.objects import Raw, entries, mapping, sequence, text
from heraldlb.api.ranges import IPAddress, RangeError, parse_address


@dataclass(frozen=True, slots=True)
class Node:
    """A Node reduced to what announcing and forwarding decide on."""

    name: str
    internal_ips: tuple[IPAddress, ...] = ()
    pod_cidrs: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    network_unavailable: bool = False
    unschedulable: bool = False
    ready: bool = False
    """Its kubelet was heard lately, as the node controller has it: condition `Ready`."""

    @property
    def excluded(self) -> bool:
        """Labelled `node.kubernetes.io/exclude-from-external-load-balancers`; the label's value does not matter."""
        return EXCLUDE_NODE_LABEL in self.labels


def parse_node(raw: Raw) -> Node:
    """A Node from its JSON."""
    return Node(
        name=text(raw, "metadata", "name"),
        internal_ips=tuple(_internal_ips(raw)),
        pod_cidrs=tuple(map(str, sequence(raw, "spec", "podCIDRs"))),
        labels=mapping(raw, "metadata", "labels"),
        network_unavailable=is_true(entries(raw, "status", "conditions"), "NetworkUnavailable"),
        ready=is_true(entries(raw, "status", "conditions"), "Ready"),
        unschedulable=mapping(raw, "spec").get("unschedulable") is True,
    )


def _internal_ips(raw: Raw) -> list[IPAddress]:
    found = []
    for entry in entries(raw, "status", "addresses"):
        if text(entry, "type") == "InternalIP":
            try:
                found.append(parse_address(text(entry, "address")))
            except RangeError:
                continue
    return found
