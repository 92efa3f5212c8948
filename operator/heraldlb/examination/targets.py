"""Which addresses to probe on which link of a node. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from heraldlb.api.ranges import IPAddress
from heraldlb.examination.facts import LinkFacts, Prefix
from heraldlb.examination.survey import Skipped


@dataclass(frozen=True, slots=True)
class Targets:
    """What to probe, by the name of the link."""

    by_link: Mapping[str, tuple[IPAddress, ...]] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()


def targets(
    addresses: Iterable[IPAddress], links: Iterable[LinkFacts], in_use: Callable[[IPAddress], bool]
) -> Targets:
    """Each address on the link whose prefix holds it, of several the longest. `in_use`: by Herald, anywhere."""
    links = tuple(links)
    own = {address for link in links for address in link.addresses}
    by_link: dict[str, list[IPAddress]] = {}
    skipped = []
    for address in dict.fromkeys(addresses):
        place = _place(address, links)
        reason = ""
        if address in own:
            reason = "the node has it"
        elif in_use(address):
            reason = "Herald has given it to a Service"
        elif place is None:
            reason = "it is in no network of a link that this node announces on"
        elif reason := _special(address, place[1]):
            pass
        else:
            by_link.setdefault(place[0].name, []).append(address)
            continue
        skipped.append(Skipped(address, reason))
    return Targets({name: tuple(each) for name, each in by_link.items()}, tuple(skipped))


def _place(address: IPAddress, links: Iterable[LinkFacts]) -> tuple[LinkFacts, Prefix] | None:
    places = [(link, prefix) for link in links if link.announces for prefix in link.prefixes if address in prefix]
    return max(places, key=lambda place: place[1].prefixlen, default=None)


def _special(address: IPAddress, prefix: Prefix) -> str:
    """Why no single host can have the address."""
    if prefix.prefixlen >= prefix.max_prefixlen - 1:
        # RFC 3021, RFC 6164: both addresses are hosts'.
        return ""
    if address == prefix.network_address:
        return "it is that of the network itself" if address.version == 4 else "routers share it (RFC 4291, 2.6.1)"
    if address.version == 4 and address == prefix.broadcast_address:
        return "it is the network's broadcast address"
    return ""
