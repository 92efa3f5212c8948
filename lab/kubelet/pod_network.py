"""A pod's network: a namespace without a name, joined to its node by a veth pair and routed, not bridged."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lab.namespaces import CLONE_NEWNET, Surroundings, run_in, unshare
from lab.network import INTERFACE, NetworkError, ip, set_sysctls

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_FIRST = 2
"""The pod prefix's first address is the gateway."""
_SYSCTLS = {
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv4/ip_unprivileged_port_start": "0",
}


def _new_namespace() -> int:
    def create() -> int:
        unshare(CLONE_NEWNET)
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return run_in(Surroundings(), create)


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """A connected pod. The namespace lives as long as this holds it, or a process is in it."""

    descriptor: int
    number: int
    ipv4: IPv4Address
    ipv6: IPv6Address

    @property
    def path(self) -> Path:
        return Path(f"/proc/{os.getpid()}/fd/{self.descriptor}")

    @property
    def link(self) -> str:
        """The node's end."""
        return f"veth{self.number}"


@dataclass(slots=True)
class PodNetworks:
    """Connects pods on one node, by the lowest free number of its prefixes. Call in the node's namespace."""

    prefix_ipv4: IPv4Network
    prefix_ipv6: IPv6Network
    _used: set[int] = field(default_factory=set)

    def connect(self) -> PodNetwork:
        """Raises NetworkError, also when the prefix is full."""
        numbers = range(_FIRST, self.prefix_ipv4.num_addresses - 1)
        number = next((number for number in numbers if number not in self._used), None)
        if number is None:
            raise NetworkError(f"pod prefix {self.prefix_ipv4} is full")
        ipv6 = self.prefix_ipv6[int(str(number), 16)]
        pod = PodNetwork(_new_namespace(), number, self.prefix_ipv4[number], ipv6)
        self._used.add(number)
        try:
            self._wire(pod)
        except NetworkError:
            self.disconnect(pod)
            raise
        return pod

    def _wire(self, pod: PodNetwork) -> None:
        gateway_ipv4, gateway_ipv6 = self.prefix_ipv4[1], self.prefix_ipv6[1]
        set_sysctls(_SYSCTLS, pod.path)
        ip(
            [
                f"link add {pod.link} type veth peer name {INTERFACE} netns {pod.path}",
                f"address add {gateway_ipv4}/32 dev {pod.link}",
                f"address add {gateway_ipv6}/128 dev {pod.link} nodad",
                f"link set {pod.link} up",
                f"route add {pod.ipv4}/32 dev {pod.link} src {gateway_ipv4}",
                f"route add {pod.ipv6}/128 dev {pod.link}",
            ]
        )
        ip(
            [
                "link set lo up",
                f"address add {pod.ipv4}/32 dev {INTERFACE}",
                f"address add {pod.ipv6}/128 dev {INTERFACE} nodad",
                f"link set {INTERFACE} up",
                f"route add {gateway_ipv4}/32 dev {INTERFACE}",
                f"route add default via {gateway_ipv4} dev {INTERFACE}",
                f"route add {gateway_ipv6}/128 dev {INTERFACE}",
                f"route add default via {gateway_ipv6} dev {INTERFACE}",
            ],
            pod.path,
        )

    def disconnect(self, pod: PodNetwork) -> None:
        """Take the link away and let go of the namespace."""
        os.close(pod.descriptor)
        with suppress(NetworkError):  # where the kernel was quicker
            ip([f"link delete {pod.link}"])
        self._used.discard(pod.number)
