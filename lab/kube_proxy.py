"""A real kube-proxy on the lab's nodes: what its configuration says, and how its rules are removed for good. Pure.

It runs in the node's network namespace as a process of the lab, not as a pod: its host volumes are more than the
lab's pods know of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lab import binaries
from lab.addressing import PODS_IPV4, PODS_IPV6

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Mode = Literal["nftables", "iptables"]

IDENTITY = "system:kube-proxy"
"""The user whom a cluster grants what kube-proxy needs (ClusterRoleBinding system:node-proxier)."""

HEALTH_PORT = 10256
METRICS_PORT = 10249


def configuration(
    node: str,
    mode: Mode,
    kubeconfig: Path,
    cluster_cidrs: Sequence[str] = (str(PODS_IPV4), str(PODS_IPV6)),
) -> dict[str, Any]:
    """A KubeProxyConfiguration with kube-proxy's defaults, except where a network namespace forbids them.

    Kernel parameters of conntrack belong to the machine's own namespace; 0 leaves them alone.
    """
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": mode,
        "hostnameOverride": node,
        "clusterCIDR": ",".join(cluster_cidrs),
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "healthzBindAddress": f"0.0.0.0:{HEALTH_PORT}",
        "metricsBindAddress": f"127.0.0.1:{METRICS_PORT}",
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
            "udpTimeout": "0s",
            "udpStreamTimeout": "0s",
        },
    }


def command(configuration_file: Path) -> list[str]:
    """Runs until it is ended; its rules stay. Raises LabError."""
    return [str(binaries.find("kube-proxy")), f"--config={configuration_file}"]


def cleanup_command(configuration_file: Path) -> list[str]:
    """Removes the rules of every mode, as the documentation says to do after the last stop. Raises LabError."""
    return [*command(configuration_file), "--cleanup"]
