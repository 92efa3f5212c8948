"""What each reason means, what to do about it, and where it appears: the rows of `docs/reference.md`.

Texts are Markdown, for people who meet the reason in `kubectl describe` and do not know the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from heraldlb.api.group import ADDRESS_ASSIGNED_CONDITION, EXCLUDE_NODE_LABEL
from heraldlb.api.reasons import Hindrance, Reason


class Process(StrEnum):
    """Who writes it."""

    CONTROLLER = "controller"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class ConditionType:
    """A condition that objects of one kind carry in `status.conditions`."""

    kind: str
    type: str
    writer: Process
    meaning: str
    """Of the status True."""


ASSIGNED: Final = ConditionType(
    "Service",
    ADDRESS_ASSIGNED_CONDITION,
    Process.CONTROLLER,
    "the Service has the addresses that it asks for; with `PreferDualStack`, at least one of them",
)
READY: Final = ConditionType(
    "AddressPool", "Ready", Process.CONTROLLER, "every entry of `spec.addresses` and `spec.excluded` counts"
)
OVERLAPPING: Final = ConditionType(
    "AddressPool", "Overlapping", Process.CONTROLLER, "an older pool has some of the same addresses"
)
EXHAUSTED: Final = ConditionType(
    "AddressPool", "Exhausted", Process.CONTROLLER, "a family that the pool serves has no address left to give"
)
APPLIES: Final = ConditionType(
    "L2Announcement", "Ready", Process.CONTROLLER, "its pools exist and its node selector matches a node"
)
ANNOUNCED: Final = ConditionType("ServiceAddress", "Announced", Process.AGENT, "a node answers for the address")
CONFLICT: Final = ConditionType(
    "ServiceAddress", "Conflict", Process.AGENT, "a host that is none of the nodes answers for the address, too"
)

CONDITION_TYPES: Final = (ASSIGNED, READY, OVERLAPPING, EXHAUSTED, APPLIES, ANNOUNCED, CONFLICT)


@dataclass(frozen=True, slots=True)
class Event:
    """An Event with the reason as its own."""

    writer: Process
    warning: bool = False
    kind: str = "Service"
    """Of the object concerned."""

    @property
    def type(self) -> str:
        """As `kubectl describe` shows it."""
        return "Warning" if self.warning else "Normal"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One reason, explained."""

    meaning: str
    remedy: str
    conditions: Mapping[ConditionType, bool] = field(default_factory=dict)
    """Where it is a condition's reason, and whether with status True or False."""
    event: Event | None = None

    def says(self, condition: ConditionType, status: bool) -> bool:
        """Whether the condition has this reason with that status."""
        return self.conditions.get(condition) is status


def _refusal(meaning: str, remedy: str, conditions: Mapping[ConditionType, bool] | None = None) -> Explanation:
    """A reason for which a Service does not get what it asks for."""
    return Explanation(
        meaning, remedy, {ASSIGNED: False, **(conditions or {})}, Event(Process.CONTROLLER, warning=True)
    )


HINDRANCES: Final[Mapping[Hindrance, str]] = MappingProxyType(
    {
        Hindrance.CORDONED: "cordoned",
        Hindrance.EXCLUDED: f"labelled {EXCLUDE_NODE_LABEL}",
        Hindrance.NETWORK_UNAVAILABLE: "its condition NetworkUnavailable is true",
        Hindrance.NOT_SELECTED: "no L2Announcement lets it announce the address",
        Hindrance.NO_ENDPOINT: "the Service has no ready endpoint",
        Hindrance.NO_LOCAL_ENDPOINT: "no ready endpoint of the Service on it (externalTrafficPolicy: Local)",
        Hindrance.NOT_HEARD: "its agent is not heard",
        Hindrance.NOT_SERVING: "its agent is starting, stopping or cut off",
        Hindrance.NO_INTERFACE: "no interface that may announce and has carrier",
        Hindrance.NO_PREFIX: "no interface with a prefix that holds the address",
    }
)
"""Said of a node, after its name."""

EXPLANATIONS: Final[Mapping[Reason, Explanation]] = MappingProxyType(
    {
        Reason.ADDRESS_ASSIGNED: Explanation(
            "The Service has its addresses. Where it prefers two families and has one, the message says what keeps"
            " the other away; it is added as soon as it can be.",
            "Nothing.",
            {ASSIGNED: True},
            Event(Process.CONTROLLER),
        ),
        Reason.ADDRESS_RELEASED: Explanation(
            "The Service has lost its addresses, because it is no longer of `type: LoadBalancer`, or not of the"
            " class that Herald serves.",
            "Nothing, if that was meant. If not, set `spec.type` back; with the annotation `heraldlb.io/addresses`"
            " the Service gets the same address, if nobody else has it meanwhile.",
            event=Event(Process.CONTROLLER),
        ),
        Reason.NO_POOL: _refusal(
            "There is no AddressPool, so there is nothing to give.",
            "Create one that lists addresses of your network which nobody else uses, outside the range of your"
            " DHCP server: see [AddressPool](#addresspool).",
        ),
        Reason.POOL_NOT_FOUND: _refusal(
            "A pool is named that does not exist: by a Service's annotation `heraldlb.io/address-pool`, or in"
            " `spec.addressPools` of an L2Announcement.",
            "Correct the name, or create the pool. `kubectl get addresspools` lists those that there are.",
            {APPLIES: False},
        ),
        Reason.POOL_PAUSED: _refusal(
            "The pools that could serve have `assignment: Paused`: Services keep what they have, nothing new is"
            " given.",
            "Set `spec.assignment` of the pool back to `Automatic` or `OnRequest`, or ask for another pool.",
        ),
        Reason.POOL_ON_REQUEST_ONLY: _refusal(
            "The pools that could serve have `assignment: OnRequest`, and the Service asks for none of them.",
            "Annotate the Service with `heraldlb.io/address-pool`, or set `assignment: Automatic` on a pool.",
        ),
        Reason.NAMESPACE_NOT_ALLOWED: _refusal(
            "The pools restrict the namespaces that they serve, and the Service's is not among them. Asking for"
            " the pool or an address in it does not change that.",
            "Add the namespace to `spec.namespaces` of the pool, or give the namespace labels that"
            " `spec.namespaceSelector` matches.",
        ),
        Reason.SERVICE_NOT_SELECTED: _refusal(
            "The pools restrict the Services that they serve, and this one's labels do not match. Asking for the"
            " pool or an address in it does not change that.",
            "Give the Service labels that `spec.serviceSelector` of the pool matches, or widen the selector. It is"
            " the Service's own labels that count, not those of its pods.",
        ),
        Reason.POOL_EXHAUSTED: _refusal(
            "Every address of the family that the pool has is held, resting or set apart.",
            "Add addresses to `spec.addresses` of the pool, create another pool, or delete Services that are not"
            " needed: those that wait get the first address that comes, oldest first. `kubectl get"
            " serviceaddresses` shows who has which. Services with different ports can share one address:"
            " `heraldlb.io/sharing-key`.",
            {EXHAUSTED: True},
        ),
        Reason.QUOTA_EXCEEDED: _refusal(
            "The Service's namespace holds as many addresses of the pool as `spec.maxPerNamespace` allows.",
            "Raise or remove `spec.maxPerNamespace`, delete a Service of the namespace, or let Services share an"
            " address.",
        ),
        Reason.FAMILY_UNAVAILABLE: _refusal(
            "An address of one family cannot be had: no pool that may serve the Service has addresses of it, or"
            " the Service is `RequireDualStack` and only one of the two is to be had.",
            "Add addresses of that family to a pool (one pool may hold both), or relax `spec.ipFamilyPolicy` of"
            " the Service to `PreferDualStack` or `SingleStack`.",
        ),
        Reason.ADDRESS_NOT_IN_ANY_POOL: _refusal(
            "The Service asks for an address that no pool contains, or that `spec.excluded` takes out.",
            "Ask for an address in a pool, leave the request out to get any, or add the address to a pool.",
        ),
        Reason.ADDRESS_IN_USE: _refusal(
            "The Service asks for an address that another Service holds; the message names it.",
            "Ask for another address, or give both Services the same `heraldlb.io/sharing-key`, so that they share"
            " it.",
        ),
        Reason.ADDRESS_QUARANTINED: _refusal(
            "A host that is none of the nodes answers for the address, so it is not given to anybody new. The"
            " pool's `status.quarantined` has the host's link-layer (MAC) address. Some minutes after the host was"
            " last seen the address is given again.",
            "Find that host by its MAC address and take the address off it, or keep the address out of the pool"
            " with `spec.excluded`. A common cause is a DHCP server that hands out addresses of the pool.",
        ),
        Reason.ADDRESS_RESERVED: _refusal(
            "The address was released and is kept back: it rests for the pool's `spec.reuseDelay`, or its pool has"
            " `reclaimPolicy: Retain` and keeps it for the Service of the namespace and name that had it.",
            "Wait until it has rested, ask for another address, or, if the former Service will not come back,"
            " delete the address's ServiceAddress: `kubectl get serviceaddresses` shows it under the address.",
        ),
        Reason.SHARING_REFUSED: _refusal(
            "The Service may not share the address that it would have to: the sharing keys differ, both serve the"
            " same protocol and port, or one has `externalTrafficPolicy: Local` and not both have it and the same"
            " selector. The message names the Service in the way.",
            "Change the port, key, policy or selector of one of the two, or ask for another address. Without"
            " `heraldlb.io/sharing: Required` a Service that asks for no address in particular gets one of its"
            " own.",
        ),
        Reason.INVALID_REQUEST: _refusal(
            "The Service's wishes cannot be read, or contradict each other: an annotation that holds no address,"
            " two annotations that disagree, an address of a family that the Service does not have, or one outside"
            " the pool that is asked for. What it holds already it keeps.",
            "Correct what the message names.",
        ),
        Reason.POOL_READY: Explanation("Every entry of the pool counts.", "Nothing.", {READY: True}),
        Reason.INVALID_ENTRY: Explanation(
            "An entry of the pool cannot be used: it cannot be read, overlaps another entry, or nothing is left"
            " after `spec.excluded`. The other entries serve, and nobody loses an address because of it.",
            "Correct the entry; the message names it.",
            {READY: False},
        ),
        Reason.POOLS_OVERLAP: Explanation(
            "The pool shares addresses with an older one. Both serve; such an address belongs to the pool with the"
            " lower `spec.priority`, of equal ones to the first by name. It is never given twice.",
            "Nothing, if that was meant. Otherwise take the addresses out of one of the pools.",
            {OVERLAPPING: True},
        ),
        Reason.NO_OVERLAP: Explanation(
            "No older pool has any of this pool's addresses.", "Nothing.", {OVERLAPPING: False}
        ),
        Reason.ADDRESSES_AVAILABLE: Explanation(
            "There are addresses left in every family that the pool serves.", "Nothing.", {EXHAUSTED: False}
        ),
        Reason.ANNOUNCING: Explanation(
            "A node answers ARP requests or neighbour solicitations for the address, so that hosts of the network"
            " send to it. On an L2Announcement: there are nodes that may announce what it covers.",
            "Nothing.",
            {ANNOUNCED: True, CONFLICT: False, APPLIES: True},
            Event(Process.AGENT),
        ),
        Reason.HANDED_OVER: Explanation(
            "Another node than before announces the address: the former one failed, left, or lost its right to."
            " The message names both, and says whether the former one was lost. Connections that were"
            " open may have to be made again.",
            "Nothing, if it is rare. If it repeats, look at the former node and its network link.",
            event=Event(Process.AGENT),
        ),
        Reason.NO_ELIGIBLE_NODE: Explanation(
            "No node may announce the address, so nobody reaches it from outside. The message says of each node"
            " why: "
            + "; ".join(f"*{words}*" for words in HINDRANCES.values())
            + ". An endpoint that is terminating counts while it serves and none is ready. On an L2Announcement:"
            " its node selector matches no node.",
            "Of a new Service, look for a ready pod first: `kubectl get endpointslices`. Then do away with what"
            " the message names: `kubectl uncordon` the node, remove its label, or have an L2Announcement cover"
            " this pool, Service and node. Cordoned and excluded nodes announce, too, with `agent.ignoreCordon` and"
            " `agent.ignoreExcludeLabel`. Where an interface or a prefix lacks, give a node an address of that"
            " network, or move the pool to a network that the nodes have. Where an agent is not heard, look at its"
            " pod, and open UDP port 7947 between the nodes.",
            {ANNOUNCED: False, APPLIES: False},
            Event(Process.AGENT, warning=True),
        ),
        Reason.ADDRESS_CONFLICT: Explanation(
            "A host that is none of the nodes claims the address. If it had it before any node announced it, no"
            " node does, and the Service gets another address unless it asks for this very one. If it came later,"
            " the node goes on: clients reach one or the other.",
            "Find that host by the link-layer (MAC) address in the message and take the address off it, or add the"
            " address to `spec.excluded` of the pool, upon which the Service gets another.",
            {ANNOUNCED: False, CONFLICT: True},
            Event(Process.AGENT, warning=True),
        ),
        Reason.FORWARDING_FAILED: Explanation(
            "The kernel of one node refuses the rules that forward the Service, or Herald itself fails at them. If"
            " the node forwarded the Service before, it goes on as it was before the change, to its former pods;"
            " otherwise connections that enter through that node fail. Other Services and nodes are not affected.",
            "The message names the node and has what `nft` says. Most often its kernel lacks a module: try `nft"
            " list ruleset` there. It is tried again as soon as the Service or its pods change.",
            event=Event(Process.AGENT, warning=True),
        ),
        Reason.HEALTH_CHECK_UNAVAILABLE: Explanation(
            "One node cannot listen on the Service's `spec.healthCheckNodePort`, so a load balancer in front of the"
            " nodes takes that node for one without endpoints. The Service is forwarded there as everywhere.",
            "The message names the node, the address, the port and why. Mostly another process has the port: `ss"
            " -tlnp` on the node shows which. It is tried again every few seconds.",
            event=Event(Process.AGENT, warning=True),
        ),
        Reason.INVALID_SOURCE_RANGE: Explanation(
            "An entry of `spec.loadBalancerSourceRanges` is not a CIDR. It admits nobody; the other entries count.",
            "Write CIDRs such as `203.0.113.0/24` or `2001:db8::/32`. The message quotes the entry.",
            event=Event(Process.AGENT, warning=True),
        ),
        Reason.SCHEDULER_REFUSED: Explanation(
            "The annotation `heraldlb.io/scheduler` names no scheduler, or one of IPVS that nftables could only"
            " pretend to have. The Service is served with the cluster's default (`agent.forwarding.scheduler`).",
            "Write what the message says, or see [Scheduling](scheduling.md) for which is good for what.",
            event=Event(Process.AGENT, warning=True),
        ),
        Reason.INVALID_WEIGHT: Explanation(
            "An entry of the annotation `heraldlb.io/node-weights` is not a node and a weight from 0 to 100. That"
            " node's weight counts as 1; the other entries count as they are.",
            "Correct what the message names.",
            event=Event(Process.AGENT, warning=True),
        ),
        Reason.INVALID_NODE_WEIGHT: Explanation(
            "The label `heraldlb.io/weight` of the Node is no number from 0 to 100. It counts as 1.",
            "Correct or remove the label.",
            event=Event(Process.AGENT, warning=True, kind="Node"),
        ),
        Reason.CONNECTION_SURVIVAL_REFUSED: Explanation(
            "The annotation `heraldlb.io/connection-survival` asks for what cannot be given: together with session"
            " affinity, with `externalTrafficPolicy: Local`, with endpoints that are on no node of the cluster, for"
            " a port of SCTP, where another service proxy forwards, or with rules that a node's kernel refuses."
            " What it cannot be given for is forwarded as without the annotation.",
            "Change the field that the message names, or remove the annotation.",
            event=Event(Process.AGENT, warning=True),
        ),
        Reason.FORWARDER_CHANGED: Explanation(
            "The agent of the node has begun to forward Services, or leaves that to another service proxy from now"
            " on. No connection is interrupted.",
            "Nothing, if a service proxy was installed, removed or mended. If it repeats, look at that proxy's pod"
            " on the node; `agent.forwarding.mode` decides it for good.",
            event=Event(Process.AGENT, kind="Node"),
        ),
        Reason.KERNEL_ANSWERS_ARP: Explanation(
            "kube-proxy in IPVS mode, or kube-router, has the addresses of Services on a link of the node, and the"
            " node's kernel answers ARP for them on every network. So clients reach any node, whichever announces"
            " an address, and see no failover.",
            "Set `ipvs.strictARP: true` in kube-proxy's configuration and restart it, or set"
            " `net.ipv4.conf.all.arp_ignore=1` and `net.ipv4.conf.all.arp_announce=2` on every node.",
            event=Event(Process.AGENT, warning=True, kind="Node"),
        ),
        Reason.NODES_UNREACHABLE: Explanation(
            "Services ask for surviving connections, and the node has no way to pass packets on to some others:"
            " they share no network segment with it, and the kernel makes no tunnel to them. Connections that need"
            " the way are not kept; everything else is served as before.",
            "Do what the message says; most often the kernel lacks the module `vxlan`.",
            event=Event(Process.AGENT, warning=True, kind="Node"),
        ),
    }
)
