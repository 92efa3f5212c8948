"""What to change on Services: annotations that are not read, and addresses that are shared without a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from heraldlb.api.group import (
    ADDRESS_POOL_ALIASES,
    ADDRESSES_ALIASES,
    ADDRESSES_ANNOTATION,
    SHARING_KEY_ALIASES,
    SHARING_KEY_ANNOTATION,
)
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.services import Service
from heraldlb.migration.manifests import valid_name

ALIASES: Final = (*ADDRESSES_ALIASES, *ADDRESS_POOL_ALIASES, *SHARING_KEY_ALIASES)

_RENAMED: Final[Mapping[str, str]] = {
    "kube-vip.io/loadbalancerIPs": ADDRESSES_ANNOTATION,
    "io.cilium/lb-ipam-ips": ADDRESSES_ANNOTATION,
    "io.cilium/lb-ipam-sharing-key": SHARING_KEY_ANNOTATION,
}
"""Not read, and what says the same."""

_NO_MEANING: Final[Mapping[str, str]] = {
    "lbipam.cilium.io/sharing-cross-namespace": "Services of any namespaces may share an address under one key",
    "io.cilium/lb-ipam-sharing-cross-namespace": "Services of any namespaces may share an address under one key",
    "kube-vip.io/serviceInterface": "interfaces are chosen by an L2Announcement",
    "kube-vip.io/vipHost": "which node announces an address is seen in `kubectl get serviceaddresses`",
    "kube-vip.io/requestedIP": "there are no addresses by DHCP",
    "kube-vip.io/hwaddr": "there are no addresses by DHCP",
    "kube-vip.io/egress": "what pods send is left to the CNI",
    "kube-vip.io/ignore": "to have Herald leave a Service alone, give it another spec.loadBalancerClass",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing about a Service's annotations."""

    service: NamespacedName
    annotation: str
    """The annotation that is there; empty where one is missing."""
    why: str
    command: str = ""
    """What to run before the switch-over; empty: nothing needs to be done."""


def advise(services: Iterable[Service]) -> tuple[Advice, ...]:
    """What to change on LoadBalancer Services, in their order."""
    listed = sorted((each for each in services if each.is_load_balancer), key=lambda service: service.id)
    found = [each for service in listed for each in _about(service)]
    return (*found, *_about_sharing(listed))


def honoured(services: Iterable[Service]) -> int:
    """How many LoadBalancer Services have annotations of other projects that are read as they are."""
    return sum(each.is_load_balancer and any(name in each.annotations for name in ALIASES) for each in services)


def _about(service: Service) -> Iterable[Advice]:
    for name, value in sorted(service.annotations.items()):
        if (ours := _RENAMED.get(name)) is not None and ours not in service.annotations:
            why = f"is not read; {ours} says the same"
            yield Advice(service.id, name, why, _annotate(service.id, ours, value.replace(" ", "")))
        elif name in _NO_MEANING:
            yield Advice(service.id, name, f"has no effect: {_NO_MEANING[name]}")
        elif name in ADDRESS_POOL_ALIASES and valid_name(value.strip()) != value.strip():
            new = valid_name(value.strip())
            yield Advice(service.id, name, f'the pool is called "{new}" now', _annotate(service.id, name, new))


def _about_sharing(services: Iterable[Service]) -> Iterable[Advice]:
    """Whoever holds an address together with others needs one key with them."""
    by_address: dict[IPAddress, list[Service]] = {}
    for service in services:
        for address in service.ingress:
            by_address.setdefault(address, []).append(service)
    advised: set[NamespacedName] = set()
    for address, sharers in by_address.items():
        keys = {_key(service) for service in sharers}
        if len(sharers) < 2 or (len(keys) == 1 and "" not in keys):
            continue
        key = min(keys - {""}, default=f"shared-{str(address).replace(':', '-')}")
        for service in sharers:
            if _key(service) != key and service.id not in advised:
                advised.add(service.id)
                others = ", ".join(str(other.id) for other in sharers if other is not service)
                why = f"holds {address} together with {others}, for which all need one sharing key"
                yield Advice(service.id, "", why, _annotate(service.id, SHARING_KEY_ANNOTATION, key))


def _key(service: Service) -> str:
    names = (SHARING_KEY_ANNOTATION, *SHARING_KEY_ALIASES)
    return next((service.annotations[name].strip() for name in names if name in service.annotations), "")


def _annotate(service: NamespacedName, name: str, value: str) -> str:
    return f"kubectl annotate service -n {service.namespace} {service.name} --overwrite {name}={value}"
