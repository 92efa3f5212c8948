"""What Herald reads of a `networking.k8s.io/v1` ServiceCIDR: where ClusterIPs come from (KEP-1880)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from heraldlb.api.objects import Raw, sequence, text

IPNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ServiceCIDR:
    """A ServiceCIDR. It counts until it is gone, since addresses of it are in use for as long."""

    name: str
    cidrs: tuple[IPNetwork, ...] = ()


def parse_service_cidr(raw: Raw) -> ServiceCIDR:
    """A ServiceCIDR from its JSON. CIDRs that do not parse are left out."""
    return ServiceCIDR(text(raw, "metadata", "name"), tuple(_networks(raw)))


def _networks(raw: Raw) -> list[IPNetwork]:
    found: list[IPNetwork] = []
    for entry in sequence(raw, "spec", "cidrs"):
        try:
            found.append(ip_network(str(entry)))
        except ValueError:
            continue
    return found
