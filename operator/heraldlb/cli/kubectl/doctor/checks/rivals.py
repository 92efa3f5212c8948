"""Other load-balancer controllers in the cluster: whether one takes the same Services, or merely exists. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from heraldlb.api.objects import NamespacedName, Raw, entries, identity, mapping, sequence, text
from heraldlb.api.services import parse_service
from heraldlb.cli.kubectl.doctor.checks.rivaltable import (
    CILIUM_CONDITION,
    CLOUD_FINALIZER,
    RIVALS,
    SERVICE_LB,
    SERVICE_LB_APART,
    SERVICE_LB_NAME,
    SERVICE_LB_NAMESPACE,
    Rival,
    Takes,
    rival_of,
)
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.doctor.workloads import Workload
from heraldlb.cli.kubectl.findings import Finding, Severity, listed
from heraldlb.controller.adoption import owned

_ORDER = (Takes.NONE, Takes.CHOSEN, Takes.MAYBE, Takes.CLASSLESS)


def controllers(seen: Seen) -> Iterator[Finding]:
    """Those that run as a workload of the cluster."""
    found: dict[str, list[tuple[Workload, Takes]]] = {}
    for workload in seen.beside.workloads:
        for name, takes in _taking(workload).items():
            found.setdefault(name, []).append((workload, takes))
    for rival in RIVALS:
        runs = found.get(rival.name)
        if not runs:
            continue
        takes = max((each for _, each in runs), key=_ORDER.index)
        if takes is not Takes.NONE:
            where = listed(sorted({str(workload) for workload, _ in runs}))
            yield _judged(seen, rival.name, where, takes, _marked(seen, rival), rival.apart)


def service_lb(seen: Seen) -> Iterator[Finding]:
    """k3s' own, which shows by a DaemonSet for each Service that it serves."""
    served = sorted(
        NamespacedName(each.labels.get(SERVICE_LB_NAMESPACE, each.name.namespace), each.labels[SERVICE_LB_NAME])
        for each in seen.beside.workloads
        if each.kind == "DaemonSet" and SERVICE_LB_NAME in each.labels
    )
    if not served:
        return
    ours = set(_ours(seen))
    both = [str(each) for each in served if each in ours]
    if both:
        message = f"serves Services that Herald serves, too: {listed(both)}; each overwrites what the other gives"
        yield Finding(Severity.WRONG, SERVICE_LB, message, SERVICE_LB_APART)
    else:
        message = f"serves {listed([str(each) for each in served])}, which Herald leaves alone"
        yield Finding(Severity.NOTICE, SERVICE_LB, message, "nothing, as long as that is meant")


def cilium(seen: Seen) -> Iterator[Finding]:
    """LB-IPAM, which is awake where it has pools."""
    pools = seen.beside.cilium_pools
    if not pools:
        return
    takes = Takes.CLASSLESS if seen.beside.cilium_default in ("", "lbipam") else Takes.CHOSEN
    marked = [
        str(identity(raw))
        for raw in _raw_ours(seen)
        if any(text(each, "type") == CILIUM_CONDITION for each in entries(raw, "status", "conditions"))
    ]
    where = f"CiliumLoadBalancerIPPools {listed(list(pools))}"
    apart = (
        "kubectl herald migrate writes its pools as Herald's; then delete them, or set spec.disabled; or have it"
        " serve its classes alone: defaultLBServiceIPAM=none"
    )
    yield _judged(seen, "Cilium LB-IPAM", where, takes, marked, apart)


def left_behind(seen: Seen) -> Iterator[Finding]:
    """Services of Herald's that wait for a cloud controller manager which is not there, when they are deleted."""
    runs = any(rival_of(each) is RIVALS[-1] for load in seen.beside.workloads for each in load.containers)
    names = [str(identity(raw)) for raw in _raw_ours(seen) if CLOUD_FINALIZER in _finalizers(raw)]
    if names and not runs:
        message = (
            f"the finalizer {CLOUD_FINALIZER} is on {listed(names)}: a cloud controller manager took them, and"
            " without it they cannot be deleted"
        )
        remedy = (
            "if none runs outside of the cluster: kubectl patch service NAME -n NAMESPACE --type=json"
            ' -p \'[{"op": "remove", "path": "/metadata/finalizers"}]\''
        )
        yield Finding(Severity.NOTICE, "Services", message, remedy)


def host_names(seen: Seen) -> Iterator[Finding]:
    """Services of Herald's whose status has a host name, which Herald writes nowhere."""
    names = [str(parse_service(raw).id) for raw in _raw_ours(seen) if parse_service(raw).hostname_ingress]
    if names:
        message = f"status.loadBalancer of {listed(names)} has a host name: another controller writes it"
        remedy = "find it in metadata.managedFields: kubectl get service -o yaml --show-managed-fields"
        yield Finding(Severity.WRONG, "Services", message, remedy)


def _judged(seen: Seen, name: str, where: str, takes: Takes, marked: list[str], apart: str) -> Finding:
    marks = f"; it has marked {listed(marked)}" if marked else ""
    if takes is Takes.CHOSEN or not seen.herald.controller_settings.default_class:
        message = (
            f"runs ({where}) and takes {takes.value}, which Herald leaves alone, as far as its settings tell{marks}"
        )
        return Finding(Severity.NOTICE, name, message, f"nothing, as long as that is meant; else: {apart}")
    remedy = f"{apart}; or let Herald serve only its class: defaultClass=false"
    if takes is Takes.MAYBE and not marked:
        return Finding(
            Severity.NOTICE, name, f"runs ({where}) and may take the Services that Herald serves", remedy
        )
    message = f"runs ({where}) and takes {Takes.CLASSLESS.value}, as Herald does: both write their status{marks}"
    return Finding(Severity.WRONG, name, message, remedy)


def _taking(workload: Workload) -> Mapping[str, Takes]:
    """Which projects its containers are of, and what they take."""
    found: dict[str, Takes] = {}
    for container in workload.containers:
        rival = rival_of(container)
        if rival is not None:
            takes = rival.takes(container)
            found[rival.name] = max(takes, found.get(rival.name, takes), key=_ORDER.index)
    return found


def _marked(seen: Seen, rival: Rival) -> list[str]:
    """Services of Herald's that bear its mark."""
    return [
        str(identity(raw))
        for raw in _raw_ours(seen)
        if any(each in mapping(raw, "metadata", "annotations") for each in rival.annotations)
        or any(each in _finalizers(raw) for each in rival.finalizers)
    ]


def _finalizers(raw: Raw) -> list[str]:
    return [str(each) for each in sequence(raw, "metadata", "finalizers")]


def _raw_ours(seen: Seen) -> list[Raw]:
    """Services that Herald serves."""
    settings = seen.herald.controller_settings
    return [raw for raw in seen.snapshot.services if owned(parse_service(raw), settings)]


def _ours(seen: Seen) -> list[NamespacedName]:
    return [identity(raw) for raw in _raw_ours(seen)]
