"""The standard fields of a Service that Herald honours: rows of `docs/reference.md`. `services` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Part(StrEnum):
    """Which part of Herald acts on a field."""

    CONTROLLER = "controller"
    SPEAKER = "speaker"
    FORWARDER = "forwarder"


@dataclass(frozen=True, slots=True)
class ServiceField:
    """One field of `spec`. The effect is Markdown."""

    path: str
    parts: tuple[Part, ...]
    effect: str


SERVICE_FIELDS: Final = (
    ServiceField(
        "spec.type",
        (Part.CONTROLLER, Part.SPEAKER, Part.FORWARDER),
        "`LoadBalancer`: the Service gets an address, which is announced and forwarded. `ClusterIP`, `NodePort`:"
        " the forwarder serves its cluster addresses and node ports. `ExternalName`: left alone.",
    ),
    ServiceField(
        "spec.loadBalancerClass",
        (Part.CONTROLLER,),
        "Unset, or `heraldlb.io/herald`: Herald gives the address. Any other class: never touched. The"
        " installation can choose another name (`loadBalancerClass`), and that Services without a class are left"
        " alone (`defaultClass: false`).",
    ),
    ServiceField(
        "spec.loadBalancerIP",
        (Part.CONTROLLER,),
        "Like the annotation [`heraldlb.io/addresses`](#annotations). If both are given, they must agree.",
    ),
    ServiceField(
        "spec.ipFamilies",
        (Part.CONTROLLER,),
        "Which families the Service gets an address of; `status.loadBalancer.ingress` lists them in this order.",
    ),
    ServiceField(
        "spec.ipFamilyPolicy",
        (Part.CONTROLLER,),
        "`SingleStack`: one address. `PreferDualStack`: what can be had; a missing second address is added as soon"
        " as it can be, and the first stays as it is. `RequireDualStack`: both or none.",
    ),
    ServiceField(
        "spec.externalTrafficPolicy",
        (Part.CONTROLLER, Part.SPEAKER, Part.FORWARDER),
        "`Cluster`: any node may announce the address and any ready pod answers. `Local`: only a node with a ready"
        " pod of the Service announces it, only pods of that node answer, and they see the client's address. Who"
        " shares an address must agree on it: see [`heraldlb.io/sharing-key`](#annotations).",
    ),
    ServiceField(
        "spec.internalTrafficPolicy",
        (Part.FORWARDER,),
        "`Local`: connections to the cluster address go to pods of the same node only.",
    ),
    ServiceField(
        "spec.selector",
        (Part.CONTROLLER,),
        "Compared among Services that share an address with `externalTrafficPolicy: Local`. The pods themselves"
        " come from the Service's EndpointSlices, so Services without a selector work, too.",
    ),
    ServiceField(
        "spec.ports",
        (Part.CONTROLLER, Part.FORWARDER),
        "`port` and `protocol` (TCP, UDP or SCTP) are served on the cluster address, every load-balancer address"
        " and every external IP; two Services that share an address cannot have the same. A `nodePort` is served"
        " on the nodes' addresses. Herald needs none: with `allocateLoadBalancerNodePorts: false` the addresses"
        " work alike.",
    ),
    ServiceField(
        "spec.clusterIPs",
        (Part.FORWARDER,),
        "Forwarded on every node, in each family. Headless Services (`None`) are left alone.",
    ),
    ServiceField(
        "spec.externalIPs",
        (Part.FORWARDER,),
        "Forwarded where packets for them arrive at a node; Herald neither assigns nor announces them. An address"
        " that the cluster itself gave to a Service is never taken over by another Service's external IP.",
    ),
    ServiceField(
        "spec.publishNotReadyAddresses",
        (Part.SPEAKER, Part.FORWARDER),
        "Kubernetes then marks every pod of the Service ready, and Herald treats it so.",
    ),
    ServiceField(
        "spec.sessionAffinity",
        (Part.FORWARDER,),
        "`ClientIP`: a client goes where it went before, at every address of the Service; on another node, too,"
        " as long as the endpoints are the same.",
    ),
    ServiceField(
        "spec.sessionAffinityConfig",
        (Part.FORWARDER,),
        "`clientIP.timeoutSeconds`: for how long after its last new connection a client is remembered.",
    ),
    ServiceField(
        "spec.loadBalancerSourceRanges",
        (Part.FORWARDER,),
        "Only clients in these CIDRs may connect to the load-balancer addresses; others' packets are dropped."
        " Without one of the client's family, or with one that holds everybody, all may. An entry that is no CIDR"
        " admits nobody.",
    ),
    ServiceField(
        "spec.healthCheckNodePort",
        (Part.FORWARDER,),
        "Answered with kube-proxy's text wherever node ports are served: 200 where the node has a ready endpoint,"
        " else 503.",
    ),
)
