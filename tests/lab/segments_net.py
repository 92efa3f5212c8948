"""A network of two segments for tests of tunnels: nodes that a router stands between.

    client 10.1.0.100 --- LAN ---+--- node-1 10.1.0.1            (announces)
                                 +--- node-4 10.1.0.4
    far 10.9.0.100 --- narrow ---+--- router ---+--- node-2 10.2.0.1 --- pod 10.244.2.5
                                                +--- node-3 10.2.0.3

IPv6 alike. Both clients reach addresses of Services by node-1, and the nodes' filters of reverse paths are strict.
A link on the way to `far` takes packets of NARROW octets, and neither end of a connection knows.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from heraldlb.api.ranges import Family
from lab.namespaces import Surroundings, named, run_in
from tests.lab.forwarding_net import Net

NARROW: Final = 1_300
VIP: Final[dict[Family, str]] = {"IPv4": "203.0.113.10", "IPv6": "2001:db8::10"}
POD: Final[dict[Family, str]] = {"IPv4": "10.244.2.5", "IPv6": "fd00:244:2::5"}
NODES: Final[dict[str, dict[Family, str]]] = {
    "node-1": {"IPv4": "10.1.0.1", "IPv6": "fd01::1"},
    "node-2": {"IPv4": "10.2.0.1", "IPv6": "fd02::1"},
    "node-3": {"IPv4": "10.2.0.3", "IPv6": "fd02::3"},
    "node-4": {"IPv4": "10.1.0.4", "IPv6": "fd01::4"},
}
ADDRESS: Final[dict[str, dict[Family, str]]] = {
    "client": {"IPv4": "10.1.0.100", "IPv6": "fd01::100"},
    "far": {"IPv4": "10.9.0.100", "IPv6": "fd09::100"},
}

_LINKS: Final = {
    "client": ("lan-1", "10.1.0.100/24", "fd01::100/64"),
    "node-1": ("lan-1", "10.1.0.1/24", "fd01::1/64"),
    "node-2": ("lan-2", "10.2.0.1/24", "fd02::1/64"),
    "node-3": ("lan-2", "10.2.0.3/24", "fd02::3/64"),
    "node-4": ("lan-1", "10.1.0.4/24", "fd01::4/64"),
    "narrow": ("lan-8", "10.8.0.2/24", "fd08::2/64"),
    "far": ("lan-9", "10.9.0.100/24", "fd09::100/64"),
}
_HOSTS: Final = ("router", *_LINKS, "pod")
_GATEWAYS: Final = {"lan-1": ("10.1.0.254", "fd01::254"), "lan-2": ("10.2.0.254", "fd02::254")}


@contextmanager
def segments() -> Iterator[Net]:
    """Build the network; every namespace, and so every link and rule in it, is gone afterwards."""
    prefix = f"hs-{os.getpid()}-"
    try:
        for host in _HOSTS:
            subprocess.run(("ip", "netns", "add", prefix + host), check=True)
            run_in(Surroundings(network=named(prefix + host)), lambda host=host: _sysctls(host))  # type: ignore[misc]
        _build(prefix)
        yield Net(prefix)
    finally:
        for host in _HOSTS:
            if named(prefix + host).exists():
                subprocess.run(("ip", "netns", "del", prefix + host), check=True)


def _build(prefix: str) -> None:
    def run(host: str, *commands: str) -> None:
        _ip(prefix + host, ("link set lo up", *commands))

    run("router", *(f"link add {lan} type bridge" for lan in ("lan-1", "lan-2", "lan-8")))
    for host, (lan, ipv4, ipv6) in _LINKS.items():
        if host == "far":
            continue
        run("router", f"link add {host} type veth peer name eth0 netns {prefix}{host}")
        run("router", f"link set {host} master {lan} up")
        run(host, f"address add {ipv4} dev eth0", f"address add {ipv6} dev eth0 nodad", "link set eth0 up")
        if lan in _GATEWAYS:
            ipv4, ipv6 = _GATEWAYS[lan]
            run(host, f"route add default via {ipv4}", f"route add ::/0 via {ipv6}")
    for lan, (ipv4, ipv6) in _GATEWAYS.items():
        run(
            "router",
            f"address add {ipv4}/24 dev {lan}",
            f"address add {ipv6}/64 dev {lan} nodad",
            f"link set {lan} up",
        )
    run(
        "router",
        "address add 10.8.0.1/24 dev lan-8",
        "address add fd08::1/64 dev lan-8 nodad",
        f"link set lan-8 mtu {NARROW} up",
        "route add 10.9.0.0/24 via 10.8.0.2",
        "route add fd09::/64 via fd08::2",
        f"route add {VIP['IPv4']} via {NODES['node-1']['IPv4']}",
        f"route add {VIP['IPv6']} via {NODES['node-1']['IPv6']}",
    )
    run(
        "narrow",
        f"link add far type veth peer name eth0 netns {prefix}far",
        "address add 10.9.0.254/24 dev far",
        "address add fd09::254/64 dev far nodad",
        "link set far up",
        f"link set eth0 mtu {NARROW}",
        "route add default via 10.8.0.1",
        "route add ::/0 via fd08::1",
    )
    _, ipv4, ipv6 = _LINKS["far"]
    run(
        "far",
        f"address add {ipv4} dev eth0",
        f"address add {ipv6} dev eth0 nodad",
        "link set eth0 up",
        "route add default via 10.9.0.254",
        "route add ::/0 via fd09::254",
    )
    run("client", *(f"route add {VIP[family]} via {NODES['node-1'][family]}" for family in VIP))
    run(
        "node-2",
        f"link add pods type veth peer name eth0 netns {prefix}pod",
        "address add 10.244.2.1/24 dev pods",
        "address add fd00:244:2::1/64 dev pods nodad",
        "link set pods up",
    )
    run(
        "pod",
        f"address add {POD['IPv4']}/24 dev eth0",
        f"address add {POD['IPv6']}/64 dev eth0 nodad",
        "link set eth0 up",
        "route add default via 10.244.2.1",
        "route add ::/0 via fd00:244:2::1",
    )


def _sysctls(host: str) -> None:
    routes = host.startswith("node") or host in ("router", "narrow")
    for name, value in (
        ("ipv4/ip_forward", str(int(routes))),
        ("ipv6/conf/all/forwarding", str(int(routes))),
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/default/send_redirects", "0"),
        ("ipv6/conf/all/accept_redirects", "0"),
        ("ipv6/conf/default/accept_redirects", "0"),
        ("ipv4/conf/all/rp_filter", str(int(host.startswith("node")))),
    ):
        Path("/proc/sys/net", name).write_text(value)


def _ip(namespace: str, commands: Sequence[str]) -> None:
    text = "".join(f"{command}\n" for command in commands)
    subprocess.run(("ip", "-n", namespace, "-batch", "-"), input=text, text=True, check=True, capture_output=True)
