"""Other load-balancer controllers: how each shows, and which Services it takes. Pure.

| project | takes Services without a loadBalancerClass | unless |
|---|---|---|
| MetalLB | yes | `--lb-class` |
| kube-vip | yes, if it serves Services at all (`svc_enable`) | `lb_class_only`, or the cloud provider's switch |
| PureLB | yes | |
| OpenELB | no: by annotation | |
| kube-router | yes, with `--run-loadbalancer` | `--loadbalancer-default-class=false` |
| k3s ServiceLB | yes: a DaemonSet `svclb-*` for each | |
| cloud controller managers | yes, by their service controller | `--controllers` without it |

Cilium's LB-IPAM is part of a network plugin: it shows by its pools, without which it sleeps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from heraldlb.cli.kubectl.doctor.workloads import Container


class Takes(Enum):
    """Which Services it gives addresses to."""

    NONE = "none"
    CHOSEN = "those of a class, or with an annotation, of its own"
    MAYBE = "maybe those without a loadBalancerClass"
    CLASSLESS = "those without a loadBalancerClass"


@dataclass(frozen=True, slots=True)
class Rival:
    """One project."""

    name: str
    images: tuple[str, ...]
    """Ends of its images' names."""
    takes: Callable[[Container], Takes]
    apart: str
    """How to have it leave to Herald what is Herald's."""
    annotations: tuple[str, ...] = ()
    """By which it marks Services that it took."""
    finalizers: tuple[str, ...] = ()
    """The same."""

    def has(self, container: Container) -> bool:
        """Whether the container is of this project."""
        return any(container.image == each or container.image.endswith(f"/{each}") for each in self.images)


def _metallb(container: Container) -> Takes:
    return Takes.CHOSEN if container.option("lb-class") else Takes.CLASSLESS


def _kube_vip(container: Container) -> Takes:
    told = container.environment
    if container.image.endswith("cloud-provider"):
        return Takes.CHOSEN if told.get("KUBEVIP_ENABLE_LOADBALANCERCLASS") == "true" else Takes.CLASSLESS
    if told.get("svc_enable") != "true" and not container.is_on("services"):
        return Takes.NONE
    only = told.get("lb_class_only") == "true" or container.is_on("lbClassOnly")
    return Takes.CHOSEN if only else Takes.CLASSLESS


def _kube_router(container: Container) -> Takes:
    if not container.is_on("run-loadbalancer"):
        return Takes.NONE
    return Takes.CHOSEN if container.option("loadbalancer-default-class") == "false" else Takes.CLASSLESS


def _cloud(container: Container) -> Takes:
    """Whether the cloud it is for has load balancers at all, nothing here tells."""
    if container.environment.get("HCLOUD_LOAD_BALANCERS_ENABLED") == "false":
        return Takes.NONE
    chosen = (container.option("controllers") or "*").split(",")
    off = any(each in chosen for each in ("-service", "-service-lb-controller"))
    on = any(each in chosen for each in ("*", "service", "service-lb-controller"))
    return Takes.MAYBE if on and not off else Takes.NONE


CLOUD_FINALIZER: Final = "service.kubernetes.io/load-balancer-cleanup"
"""Of the service controller that all cloud controller managers share."""

CILIUM_CONDITION: Final = "cilium.io/IPAMRequestSatisfied"

RIVALS: Final = (
    Rival(
        "MetalLB",
        ("metallb/controller", "metallb/speaker", "metallb-controller", "metallb-speaker"),
        _metallb,
        "kubectl herald migrate writes its pools as Herald's, and then it can go; or give it a class: --lb-class",
        annotations=("metallb.io/ip-allocated-from-pool", "metallb.universe.tf/ip-allocated-from-pool"),
    ),
    Rival(
        "kube-vip",
        ("kube-vip", "kube-vip-iptables", "kube-vip-cloud-provider"),
        _kube_vip,
        "svc_enable=false has it serve the control plane's address alone; or lb_class_only=true",
        annotations=("kube-vip.io/vipHost",),
    ),
    Rival(
        "PureLB",
        ("purelb/allocator", "purelb/lbnodeagent"),
        lambda _: Takes.CLASSLESS,
        "uninstall it, after its ServiceGroups are written as AddressPools",
        annotations=("purelb.io/allocated-by",),
    ),
    Rival(
        "OpenELB",
        ("kubesphere/openelb", "openelb/openelb", "openelb-controller", "openelb-speaker"),
        lambda _: Takes.CHOSEN,
        "take its annotation lb.kubesphere.io/v1alpha1 off Services that are to be Herald's",
    ),
    Rival(
        "kube-router",
        ("cloudnativelabs/kube-router",),
        _kube_router,
        "run it with --run-loadbalancer=false, or --loadbalancer-default-class=false",
    ),
    Rival(
        "a cloud controller manager",
        (),
        _cloud,
        "run it without its service controller: --controllers=*,-service",
        finalizers=(CLOUD_FINALIZER,),
    ),
)

SERVICE_LB: Final = "k3s ServiceLB"
SERVICE_LB_NAME: Final = "svccontroller.k3s.cattle.io/svcname"
"""Label of its DaemonSets: the Service that each is for."""
SERVICE_LB_NAMESPACE: Final = "svccontroller.k3s.cattle.io/svcnamespace"
SERVICE_LB_APART: Final = (
    "start every k3s server with --disable=servicelb, which removes the svclb-* DaemonSets; or let Herald serve"
    " only its class: defaultClass=false"
)


def rival_of(container: Container) -> Rival | None:
    """Whose container it is; None: no load balancer's that is known."""
    if "cloud-controller-manager" in container.image.rpartition("/")[2]:
        return RIVALS[-1]
    return next((each for each in RIVALS if each.has(container)), None)
