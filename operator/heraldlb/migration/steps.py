"""The switch-over, step by step: `docs/migrate.md` says why each is where it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from heraldlb.api.group import LOAD_BALANCER_CLASS
from heraldlb.migration.convert import Origin

OBJECTS_FILE: Final = "herald.yaml"
"""What the file with the objects is called where nothing else was said."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, and how."""

    what: str
    commands: tuple[str, ...]


_STOP_ALLOCATION: Final = {
    Origin.METALLB: Step(
        "Stop MetalLB's controller. Its speakers go on announcing; new Services wait.",
        # Manifests and chart call it differently, and it is the only one there.
        ("kubectl -n metallb-system scale deployment --all --replicas=0",),
    ),
    Origin.CILIUM: Step(
        "Have Cilium give no addresses any more; its agents go on announcing.",
        (
            "helm upgrade cilium cilium/cilium -n kube-system --reuse-values --set enableLBIPAM=false"
            " --set defaultLBServiceIPAM=none",
            "kubectl -n kube-system rollout status deployment cilium-operator",
        ),
    ),
    Origin.KUBE_VIP: Step(
        "Stop kube-vip's cloud provider. kube-vip goes on announcing; new Services wait.",
        ("kubectl -n kube-system scale deployment kube-vip-cloud-provider --replicas=0",),
    ),
}
_STOP_ANNOUNCING: Final[Mapping[Origin, tuple[str, ...]]] = {
    # They return when the last announcer has ended: Herald takes an address that somebody answers for as taken, and
    # gives the Service another.
    Origin.METALLB: ("kubectl -n metallb-system delete daemonset --all --cascade=foreground",),
    Origin.CILIUM: (
        "helm upgrade cilium cilium/cilium -n kube-system --reuse-values --set l2announcements.enabled=false",
        "kubectl -n kube-system rollout status daemonset cilium",
    ),
    Origin.KUBE_VIP: (
        "kubectl -n kube-system delete daemonset kube-vip-ds --cascade=foreground",
        "ip -brief address  # on every node: take off by `ip address del` what is left of Services",
    ),
}
_CLEAN_UP: Final = {
    Origin.METALLB: Step(
        "Remove what is left of MetalLB; of its manifests, by kubectl delete -f of those.",
        ("helm uninstall metallb -n metallb-system --ignore-not-found", "kubectl delete ns metallb-system"),
    ),
    Origin.CILIUM: Step(
        "Remove Cilium's pools and policies.",
        ("kubectl delete ciliumloadbalancerippools,ciliuml2announcementpolicies --all",),
    ),
}
_COMPARE: Final = (
    "kubectl get services -A --no-headers -o"
    " 'custom-columns=N:.metadata.namespace,S:.metadata.name,A:.status.loadBalancer.ingress[*].ip'"
)


def steps(
    origins: Iterable[Origin], objects_file: str = "", load_balancer_class: str = LOAD_BALANCER_CLASS
) -> tuple[Step, ...]:
    """What to do, in this order, to change from these to Herald with the objects in that file."""
    former = list(origins)
    file = objects_file or OBJECTS_FILE
    own_class = (
        f" --set loadBalancerClass={load_balancer_class}" if load_balancer_class != LOAD_BALANCER_CLASS else ""
    )
    install = (
        f"helm install herald charts/heraldlb -n kube-system --wait{own_class} --set 'agent.roles={{forwarder}}'"
    )
    # Nobody answers meanwhile: no time for the hook, which brings definitions up to date that are.
    announce = (
        "helm upgrade herald charts/heraldlb -n kube-system --reuse-values --no-hooks"
        " --set 'agent.roles={speaker,forwarder}'"
    )
    return (
        Step("Write down which Service has which address.", (f"{_COMPARE} > before.txt",)),
        *(_STOP_ALLOCATION[origin] for origin in former),
        Step(
            "Give Herald its pools before it runs: without one it would take Services for unserved.",
            (
                "helm show crds charts/heraldlb | kubectl apply --server-side -f -",
                "helm show crds charts/heraldlb | kubectl wait --for=condition=Established -f -",
                f"kubectl apply -f {file}",
            ),
        ),
        Step("Install Herald, which takes over every address and announces none yet.", (install,)),
        Step("Compare: nothing has changed.", (f"{_COMPARE} | diff before.txt -",)),
        Step(
            "Change who announces, at once: in between nobody does, and clients go by what they remember.",
            (*(command for origin in former for command in _STOP_ANNOUNCING[origin]), announce),
        ),
        Step("See that every address is announced.", ("kubectl get serviceaddresses", "kubectl herald status")),
        *(_CLEAN_UP[origin] for origin in former if origin in _CLEAN_UP),
    )
