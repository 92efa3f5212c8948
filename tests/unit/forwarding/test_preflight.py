"""What a node lacks for forwarding."""

from __future__ import annotations

from pathlib import Path

from heraldlb.forwarding.preflight import preflight


def write(root: Path, setting: str, value: str) -> None:
    path = root.joinpath(*setting.split("."))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n")


def test_nothing_to_say_about_a_node_that_is_set_up(tmp_path: Path) -> None:
    write(tmp_path, "net.ipv4.ip_forward", "1")
    write(tmp_path, "net.ipv6.conf.all.forwarding", "1")
    assert preflight("6.1.0-13-amd64", proc_sys=tmp_path) == ()


def test_missing_forwarding_blocks_and_the_finding_says_what_to_set(tmp_path: Path) -> None:
    write(tmp_path, "net.ipv4.ip_forward", "0")
    ipv4, ipv6 = preflight("6.1.0", proc_sys=tmp_path)
    assert ipv4.blocking
    assert "sysctl -w net.ipv4.ip_forward=1" in ipv4.message
    assert "net.ipv6.conf.all.forwarding is absent" in ipv6.message
    assert preflight("6.1.0", ["IPv6"], tmp_path) == (ipv6,)


def test_old_kernels_need_a_liberal_conntrack(tmp_path: Path) -> None:
    write(tmp_path, "net.netfilter.nf_conntrack_tcp_be_liberal", "0")
    (finding,) = preflight("5.15.0-generic", [], tmp_path)
    assert not finding.blocking
    write(tmp_path, "net.netfilter.nf_conntrack_tcp_be_liberal", "1")
    assert preflight("5.15.0-generic", [], tmp_path) == ()


def test_a_strict_conntrack_keeps_connections_from_following(tmp_path: Path) -> None:
    write(tmp_path, "net.netfilter.nf_conntrack_tcp_loose", "0")
    (finding,) = preflight("6.1.0", [], tmp_path)
    assert not finding.blocking
    write(tmp_path, "net.netfilter.nf_conntrack_tcp_loose", "1")
    assert preflight("6.1.0", [], tmp_path) == ()
