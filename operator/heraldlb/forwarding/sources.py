"""`spec.loadBalancerSourceRanges`: who may connect to the addresses of a load balancer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from heraldlb.api.ranges import Family, IPAddress, family_of
from heraldlb.api.reasons import Reason
from heraldlb.forwarding.model import IPNetwork, Objection


def allowed_sources(
    texts: Iterable[str], family: Family, addresses: Sequence[IPAddress], node: Iterable[IPAddress]
) -> tuple[IPNetwork, ...] | None:
    """The clients of one family that may connect, without overlaps; None: all of them.

    Without a range of the family, or with one of length 0, there is no filter (as kube-proxy reads the field). What
    is no range lets nobody in, so that a slip of the pen does not open a Service. Where one of the node's own
    addresses is allowed, the Service's `addresses` are, too: a node may use one of those as its source.
    """
    texts = tuple(texts)
    networks = [network for text in texts if (network := _parse(text)) and _family(network) == family]
    if any(not network.prefixlen for network in networks):
        return None
    if not networks and not any(_parse(text) is None and _may_mean(text, family) for text in texts):
        return None
    if any(address in network for address in node for network in networks):
        networks.extend(ip_network(address) for address in addresses if family_of(address) == family)
    return collapse(networks, family)


def objections_to(texts: Iterable[str]) -> tuple[Objection, ...]:
    """One for each range that is none."""
    return tuple(
        Objection(
            Reason.INVALID_SOURCE_RANGE,
            f'spec.loadBalancerSourceRanges: "{text}" is not a CIDR, so it admits nobody; '
            "write one such as 203.0.113.0/24 or 2001:db8::/32",
        )
        for text in texts
        if _parse(text) is None
    )


def collapse(networks: Iterable[IPNetwork], family: Family) -> tuple[IPNetwork, ...]:
    """Those of one family without overlaps, which nft refuses."""
    if family == "IPv4":
        return tuple(collapse_addresses(network for network in networks if isinstance(network, IPv4Network)))
    return tuple(collapse_addresses(network for network in networks if isinstance(network, IPv6Network)))


def _parse(text: str) -> IPNetwork | None:
    """Leading zeros are decimal, as the API server has always read them."""
    address, slash, length = text.strip().partition("/")
    if "." in address and ":" not in address:
        address = ".".join(octet.lstrip("0") or "0" if octet else "" for octet in address.split("."))
    try:
        return ip_network(f"{address}/{length}", strict=False) if slash and length.isdecimal() else None
    except ValueError:
        return None


def _may_mean(text: str, family: Family) -> bool:
    """Whether what is no range may have been meant as one of this family."""
    return ":" not in text if family == "IPv4" else ":" in text or "." not in text


def _family(network: IPNetwork) -> Family:
    return "IPv4" if network.version == 4 else "IPv6"
