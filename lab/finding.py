"""From a name in the cluster to a process of this machine."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import LabError
from lab.host import Host
from lab.kubelet.container import MARK
from lab.processes import environment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.processes import Process


def _containers(kubelet: Process) -> dict[str, Process]:
    """First processes by NAMESPACE/POD/CONTAINER."""
    marked = ((environment_of(process).get(MARK), process) for process in kubelet.children())
    return {mark: process for mark, process in marked if mark}


def _matches(mark: str, name: str) -> bool:
    _, pod, container = mark.split("/")
    return name in (container, pod) or pod.startswith(f"{name}-")


def container_process(kubelet: Process, name: str) -> Process:
    """The one container the name fits: its own, its pod's, or the beginning of its pod's. Raises LabError."""
    containers = _containers(kubelet)
    found = [process for mark, process in containers.items() if _matches(mark, name)]
    if len(found) != 1:
        raise LabError(
            f"{len(found)} containers fit {name!r}; there are: {', '.join(sorted(containers)) or 'none'}"
        )
    return found[0]


def pod_host(pod: Mapping[str, Any], kubelet_of: Callable[[str], Process]) -> Host:
    """A running pod as a host. Raises LabError if none of its containers runs."""
    metadata = pod["metadata"]
    prefix = f"{metadata['namespace']}/{metadata['name']}/"
    node = pod["spec"].get("nodeName")
    containers = _containers(kubelet_of(node)) if node else {}
    process = next((process for mark, process in containers.items() if mark.startswith(prefix)), None)
    addresses = [ip_address(entry["ip"]) for entry in pod["status"].get("podIPs", ())]
    ipv4 = next((address for address in addresses if isinstance(address, IPv4Address)), None)
    ipv6 = next((address for address in addresses if isinstance(address, IPv6Address)), None)
    if process is None or ipv4 is None or ipv6 is None:
        raise LabError(f"pod {prefix.rstrip('/')} has no running container")
    network = Path(f"/proc/{process.pid}/ns/net")
    return Host(metadata["name"], ipv4, ipv6, mac_address="", network=network, environment={})
