"""What is taken for another service proxy, and what of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from heraldlb.forwarding.evidence import arp_ignored
from heraldlb.forwarding.proxies import (
    CALICO_EBPF_LINK,
    CILIUM_LINK,
    IPVS_LINK,
    KUBE_PROXY_CHAINS,
    KUBE_PROXY_TABLES,
    KUBE_ROUTER_LINK,
    OVN_LINK,
    OWN_TABLES,
    Evidence,
    Heartbeat,
    Sighting,
    has_synced,
    needs_arp_ignore,
    sight,
)

IPV4_TABLE, IPV6_CHAIN = KUBE_PROXY_TABLES[0], KUBE_PROXY_CHAINS[1]
HEALTHY = {Heartbeat.KUBE_PROXY_HEALTH: '{"lastUpdated": "2026-11-21 20:00:00"}'}


def says(mode: str) -> dict[Heartbeat, str]:
    return {Heartbeat.KUBE_PROXY_MODE: mode}


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        pytest.param(Evidence(), [], id="nothing"),
        pytest.param(Evidence(frozenset(OWN_TABLES)), [], id="ourselves"),
        pytest.param(Evidence(links=frozenset({"eth0", CILIUM_LINK})), [], id="Cilium beside kube-proxy"),
        pytest.param(
            Evidence(frozenset({IPV4_TABLE}), answers=says("nftables")),
            [Sighting("kube-proxy (nftables)", rules=True, alive=True)],
            id="nftables",
        ),
        pytest.param(
            Evidence(frozenset({IPV6_CHAIN}), answers=says("iptables\n")),
            [Sighting("kube-proxy (iptables)", rules=True, alive=True)],
            id="iptables over nftables, IPv6 alone",
        ),
        pytest.param(
            Evidence(legacy_nat=True, answers=says("iptables")),
            [Sighting("kube-proxy (iptables)", rules=True, alive=True)],
            id="iptables, legacy",
        ),
        pytest.param(Evidence(legacy_nat=True), [], id="somebody else's legacy iptables"),
        pytest.param(
            Evidence(links=frozenset({IPVS_LINK}), answers=says("ipvs")),
            [Sighting("kube-proxy (ipvs)", rules=True, alive=True)],
            id="ipvs",
        ),
        pytest.param(
            Evidence(frozenset({IPV4_TABLE}), answers=HEALTHY),
            [Sighting("kube-proxy (nftables)", rules=True, alive=True)],
            id="health port alone",
        ),
        pytest.param(
            Evidence(answers={Heartbeat.KUBE_PROXY_MODE: "404 page not found"}),
            [],
            id="another's server on its port",
        ),
        pytest.param(
            Evidence(frozenset({IPV4_TABLE}), answers=says("nftables"), synced=False),
            [Sighting("kube-proxy (nftables)", rules=True, alive=True, complete=False)],
            id="just started",
        ),
        pytest.param(
            Evidence(frozenset({IPV4_TABLE}), answers=says("iptables")),
            [Sighting("kube-proxy (iptables)", rules=False, alive=True)],
            id="rules of a mode that it has no more",
        ),
        pytest.param(
            Evidence(frozenset({IPV4_TABLE})),
            [Sighting("kube-proxy (nftables)", rules=True, alive=False)],
            id="left behind",
        ),
        pytest.param(
            Evidence(links=frozenset({KUBE_ROUTER_LINK, CALICO_EBPF_LINK}), answers={Heartbeat.FELIX: ""}),
            [
                Sighting("kube-router", rules=True, alive=False),
                Sighting("Calico's eBPF data plane", rules=True, alive=True),
            ],
            id="by link",
        ),
        pytest.param(
            Evidence(links=frozenset({OVN_LINK})),
            [Sighting("OVN-Kubernetes", rules=True, alive=True)],
            id="without a sign of life",
        ),
        pytest.param(
            Evidence(links=frozenset({CILIUM_LINK}), cilium_replaces=True),
            [Sighting("Cilium", rules=True, alive=True)],
            id="Cilium instead of kube-proxy",
        ),
        pytest.param(Evidence(cilium_replaces=True), [], id="Cilium on other nodes"),
    ],
)
def test_a_proxy_is_known_by_its_rules_and_its_life(evidence: Evidence, found: list[Sighting]) -> None:
    assert list(sight(evidence)) == found


@pytest.mark.parametrize(
    ("lines", "synced"),
    [
        (['kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 1.7e+09'], True),
        (
            [
                "# TYPE kubeproxy_sync_proxy_rules_last_timestamp_seconds gauge",
                'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 1.7e+09',
                'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv6"} 0',
            ],
            False,
        ),
        (["kubeproxy_sync_proxy_rules_last_timestamp_seconds 0"], False),
        (["# TYPE kubeproxy_sync_proxy_rules_last_timestamp_seconds gauge"], None),
    ],
)
def test_kube_proxy_has_synced_once_every_family_has_a_time(lines: list[str], synced: bool | None) -> None:
    assert has_synced(lines) is synced


def conf(root: Path, **values: int) -> Path:
    for name, value in values.items():
        (root / name).mkdir(exist_ok=True)
        (root / name / "arp_ignore").write_text(f"{value}\n")
    return root


def test_ipvs_needs_arp_ignore_on_every_interface_that_clients_reach(tmp_path: Path) -> None:
    ipvs = frozenset({IPVS_LINK})
    assert not arp_ignored(conf(tmp_path, all=0, default=1, lo=0, eth0=1, eth1=0))
    assert arp_ignored(conf(tmp_path, eth1=2))
    assert arp_ignored(conf(tmp_path, eth1=0, all=1))
    assert needs_arp_ignore(Evidence(links=ipvs, arp_ignore=False))
    assert not needs_arp_ignore(Evidence(links=ipvs, arp_ignore=True))
    assert not needs_arp_ignore(Evidence(arp_ignore=False))
