"""Other service proxies on this node, and what shows that they are there and at work. Pure.

Nothing of a foreign table is read but that it exists: later versions of nft write what earlier ones cannot list.
A proxy's rules outlive it, and its process is there before its rules are, so both are looked for.

| proxy                | rules                                                 | life                |
|----------------------|-------------------------------------------------------|---------------------|
| kube-proxy, nftables | table `kube-proxy` in `ip` or `ip6`                   | ports 10249, 10256  |
| kube-proxy, iptables | chain KUBE-SERVICES in nft's `nat`, or a legacy `nat` | the same            |
| kube-proxy, IPVS     | link `kube-ipvs0`                                     | the same            |
| kube-router          | link `kube-dummy-if`                                  | port 20244          |
| Calico's eBPF        | link `bpfin.cali`                                     | port 9099           |
| Cilium               | link `cilium_host`, ConfigMap says it replaces others | the ConfigMap       |
| OVN-Kubernetes       | link `ovn-k8s-mp0`                                    | nothing tells       |

k3s and others run kube-proxy inside another process, on the same ports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from heraldlb.forwarding.frame import TABLE, WORDS


class Heartbeat(StrEnum):
    """Where a proxy tells on the loopback interface that it lives; the value is what is asked."""

    KUBE_PROXY_MODE = "http://127.0.0.1:10249/proxyMode"
    KUBE_PROXY_HEALTH = "http://127.0.0.1:10256/healthz"
    KUBE_ROUTER = "http://127.0.0.1:20244/healthz"
    FELIX = "http://127.0.0.1:9099/liveness"


KUBE_PROXY_METRICS: Final = "http://127.0.0.1:10249/metrics"
SYNCED_METRIC: Final = "kubeproxy_sync_proxy_rules_last_timestamp_seconds"
"""When kube-proxy last programmed everything; 0 until it has."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of nftables, or a whole table where `name` is empty."""

    family: str
    table: str
    name: str = ""


KUBE_PROXY_TABLES: Final = (Chain("ip", "kube-proxy"), Chain("ip6", "kube-proxy"))
KUBE_PROXY_CHAINS: Final = (Chain("ip", "nat", "KUBE-SERVICES"), Chain("ip6", "nat", "KUBE-SERVICES"))
OWN_TABLES: Final = tuple(Chain(words.ip, TABLE) for words in WORDS.values())


IPVS_LINK: Final = "kube-ipvs0"
KUBE_ROUTER_LINK: Final = "kube-dummy-if"
CALICO_EBPF_LINK: Final = "bpfin.cali"
CILIUM_LINK: Final = "cilium_host"
OVN_LINK: Final = "ovn-k8s-mp0"

FOREIGN_CHAINS: Final = (*KUBE_PROXY_TABLES, *KUBE_PROXY_CHAINS)
FOREIGN_LINKS: Final = frozenset({IPVS_LINK, KUBE_ROUTER_LINK, CALICO_EBPF_LINK, CILIUM_LINK, OVN_LINK})

_MODES: Final = ("nftables", "iptables", "ipvs")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found on the node at one moment."""

    chains: frozenset[Chain] = frozenset()
    """Those of FOREIGN_CHAINS and OWN_TABLES that exist."""
    legacy_nat: bool = False
    """The kernel has iptables' own `nat` table, whose chains cannot be told without reading all of it."""
    links: frozenset[str] = frozenset()
    """Those of FOREIGN_LINKS that exist."""
    answers: Mapping[Heartbeat, str] = field(default_factory=dict)
    """What was said at each place that answered."""
    synced: bool | None = None
    """Whether kube-proxy's metrics say that it has programmed everything once; None: they were not to be had."""
    cilium_replaces: bool = False
    """Cilium's ConfigMap says that it replaces kube-proxy."""
    arp_ignore: bool = True
    """The kernel answers ARP only for addresses of the interface that is asked (net.ipv4.conf.*.arp_ignore)."""

    @property
    def ours(self) -> bool:
        """Our own rules are in force, as after a restart."""
        return bool(self.chains.intersection(OWN_TABLES))


@dataclass(frozen=True, slots=True)
class Sighting:
    """One proxy, as far as it shows."""

    name: str
    """With its mode, where it has several."""
    rules: bool
    """Its rules are in the kernel."""
    alive: bool
    """Its process lives, or nothing says that it does not."""
    complete: bool = True
    """Its rules are all there, or nothing says that they are not."""

    @property
    def serves(self) -> bool:
        """It does the work."""
        return self.rules and self.alive and self.complete


def sight(evidence: Evidence) -> tuple[Sighting, ...]:
    """The proxies of which anything shows."""
    found = [_kube_proxy(evidence)]
    found += [
        Sighting(name, rules=True, alive=heartbeat is None or heartbeat in evidence.answers)
        for name, link, heartbeat in (
            ("kube-router", KUBE_ROUTER_LINK, Heartbeat.KUBE_ROUTER),
            ("Calico's eBPF data plane", CALICO_EBPF_LINK, Heartbeat.FELIX),
            ("OVN-Kubernetes", OVN_LINK, None),
        )
        if link in evidence.links
    ]
    if CILIUM_LINK in evidence.links and evidence.cilium_replaces:
        found.append(Sighting("Cilium", rules=True, alive=True))
    return tuple(each for each in found if each.rules or each.alive)


def needs_arp_ignore(evidence: Evidence) -> bool:
    """IPVS has every Service address on a link of the node, so that every node's kernel answers ARP for all."""
    return bool({IPVS_LINK, KUBE_ROUTER_LINK} & evidence.links) and not evidence.arp_ignore


def has_synced(metrics: Iterable[str]) -> bool | None:
    """What the lines of kube-proxy's metrics say about `Evidence.synced`."""
    samples = [line.split()[-1] for line in metrics if line.startswith((f"{SYNCED_METRIC} ", f"{SYNCED_METRIC}{{"))]
    return all(float(value) > 0 for value in samples) if samples else None


def _kube_proxy(evidence: Evidence) -> Sighting:
    said = evidence.answers.get(Heartbeat.KUBE_PROXY_MODE, "").strip()
    alive = said in _MODES or "lastUpdated" in evidence.answers.get(Heartbeat.KUBE_PROXY_HEALTH, "")
    by_mode = {
        "nftables": bool(evidence.chains.intersection(KUBE_PROXY_TABLES)),
        # Whose legacy table it is only a proxy that lives can tell.
        "iptables": bool(evidence.chains.intersection(KUBE_PROXY_CHAINS)) or (alive and evidence.legacy_nat),
        "ipvs": IPVS_LINK in evidence.links,
    }
    mode = said if said in _MODES else next((mode for mode, rules in by_mode.items() if rules), "")
    return Sighting(
        f"kube-proxy ({mode})" if mode else "kube-proxy",
        rules=by_mode.get(mode, False),
        alive=alive,
        complete=evidence.synced is not False,
    )
