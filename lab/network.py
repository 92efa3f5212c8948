"""The lab's wires: a LAN bridge in a namespace of its own, and every host in another, joined to it by a veth pair.

The root namespace's links, addresses and routes are never touched, so labs with the same numbers run side by side.
Duplicate address detection is off, spanning tree is off: an address and a port serve at once.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.namespaces import Surroundings, named, run_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.addressing import HostAddresses

BRIDGE = "lan"
INTERFACE = "eth0"

_NO_DAD = {"net/ipv6/conf/all/accept_dad": "0", "net/ipv6/conf/default/accept_dad": "0"}
_ROUTER = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}
_QUIET_BRIDGE = {"net/ipv6/conf/default/disable_ipv6": "1", "net/ipv6/conf/all/disable_ipv6": "1"}

_FAULTS = """
table bridge faults {
    set cut {
        type ifname . ifname
    }
    chain forward {
        type filter hook forward priority 0; policy accept;
        iifname . oifname @cut drop
    }
}
"""


class NetworkError(LabError):
    """A link, address or rule could not be set up; carries what the tool said."""


def _run(argv: list[str], script: str, network: Path | None = None) -> None:
    done = run_in(
        Surroundings(network=network),
        lambda: subprocess.run(argv, input=script, text=True, capture_output=True, check=False),
    )
    if done.returncode != 0:
        raise NetworkError(
            f"{' '.join(argv)} in {network or 'the root namespace'}: {done.stderr.strip()}\n{script}"
        )


def ip(lines: Iterable[str], network: Path | None = None) -> None:
    """Run iproute2 commands in one batch. Raises NetworkError at the first that fails."""
    _run(["ip", "-batch", "-"], "\n".join(lines) + "\n", network)


def nft(script: str, network: Path) -> None:
    """Load nftables rules in one transaction. Raises NetworkError."""
    _run(["nft", "-f", "-"], script, network)


def set_sysctls(values: Mapping[str, str], network: Path) -> None:
    """Write kernel parameters, named by their path below /proc/sys, in a network namespace."""

    def write() -> None:
        for name, value in values.items():
            (Path("/proc/sys") / name).write_text(value)

    run_in(Surroundings(network=network), write)


@dataclass(frozen=True, slots=True)
class Network:
    """The wires of one lab. Holds no state of its own: the kernel does."""

    lab: str

    def namespace(self, host: str) -> str:
        return f"hl-{self.lab}-{host}"

    def path(self, host: str) -> Path:
        return named(self.namespace(host))

    @property
    def lan(self) -> Path:
        return self.path(BRIDGE)

    def up(self, hosts: Mapping[str, HostAddresses]) -> None:
        """Build the LAN and connect every host. Raises NetworkError."""
        ip([f"netns add {self.namespace(BRIDGE)}"])
        set_sysctls(_QUIET_BRIDGE, self.lan)
        ip(
            [
                f"link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                f"link set {BRIDGE} up",
            ],
            self.lan,
        )
        nft(_FAULTS, self.lan)
        for host in hosts.values():
            self.connect(host, hosts.values())

    def connect(self, host: HostAddresses, hosts: Iterable[HostAddresses]) -> None:
        """Give a host its namespace, its link and its addresses, as it has them after boot."""
        namespace, path = self.namespace(host.name), self.path(host.name)
        ip([f"netns add {namespace}"])
        is_router = host.is_node
        set_sysctls(_NO_DAD | (_ROUTER if is_router else {}), path)
        ip(
            [
                f"link add {host.name} type veth"
                f" peer name {INTERFACE} address {host.mac_address} netns {namespace}",
                f"link set {host.name} master {BRIDGE} up",
            ],
            self.lan,
        )
        lines = [
            "link set lo up",
            f"link set {INTERFACE} up",
            f"address add {host.ipv4_interface} dev {INTERFACE}",
            f"address add {host.ipv6_interface} dev {INTERFACE} nodad",
        ]
        if host.name != "client":
            for other in hosts:
                if other.is_node and other.name != host.name:
                    lines.append(f"route add {other.pods_ipv4} via {other.ipv4}")
                    lines.append(f"route add {other.pods_ipv6} via {other.ipv6}")
        ip(lines, path)

    def disconnect(self, host: str) -> None:
        """Take a host's link and namespace away, with all kernel state in it: rules, routes, connections."""
        ip([f"link delete {host}"], self.lan)
        ip([f"netns delete {self.namespace(host)}"])

    def cut_link(self, host: str) -> None:
        """Pull the host's cable: both ends lose carrier."""
        ip([f"link set {host} down"], self.lan)

    def heal_link(self, host: str) -> None:
        ip([f"link set {host} up"], self.lan)

    def cut(self, one: str, other: str) -> None:
        """Drop every frame between two hosts, both ways; all other traffic flows."""
        nft(f"add element bridge faults cut {{ {one} . {other}, {other} . {one} }}\n", self.lan)

    def heal(self, one: str, other: str) -> None:
        """Undo `cut`; harmless where nothing was cut."""
        both = f"{{ {one} . {other}, {other} . {one} }}"
        nft(f"add element bridge faults cut {both}\ndelete element bridge faults cut {both}\n", self.lan)

    def heal_all(self) -> None:
        nft("flush set bridge faults cut\n", self.lan)
