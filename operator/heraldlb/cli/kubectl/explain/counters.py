"""What an agent has counted of an address, from its metrics. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from heraldlb.api.ranges import IPAddress

_SPEAKER = "heraldlb_speaker_"
_FORWARDER_ACTIVE = "heraldlb_forwarder_active"


@dataclass(frozen=True, slots=True)
class Counters:
    """Of one address, since the agent announces it."""

    requests: int
    """ARP requests and neighbour solicitations for it that came to the node."""
    answers: int
    announcements: int
    """Times it was announced unasked."""
    foreign_claims: int


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one agent says of itself."""

    addresses: dict[str, Counters]
    proxy: str
    """Who forwards on the node if not Herald, as the agent calls it; empty: nobody else, or it was not said."""
    forwards: bool | None
    """Whether Herald forwards Services on the node; None: it was not said."""

    def of(self, address: IPAddress) -> Counters | None:
        """What it counted of the address; None: it does not announce it."""
        return self.addresses.get(str(address))


def parse_metrics(exposition: str) -> Scrape:
    """From an agent's `/metrics`. Raises ValueError where it is no exposition."""
    # Another tenth of a second, which few need.
    from prometheus_client.parser import text_string_to_metric_families

    counted: dict[str, dict[str, int]] = {}
    proxy, forwards = "", None
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if family.name.startswith(_SPEAKER) and "address" in sample.labels:
                name = sample.name.removeprefix(_SPEAKER).removesuffix("_total")
                counted.setdefault(sample.labels["address"], {})[name] = int(sample.value)
            elif sample.name == _FORWARDER_ACTIVE:
                proxy, forwards = sample.labels.get("proxy", ""), bool(sample.value)
    names = ("requests", "answers", "announcements", "foreign_claims")
    return Scrape(
        {address: Counters(*(values.get(name, 0) for name in names)) for address, values in counted.items()},
        proxy,
        forwards,
    )
