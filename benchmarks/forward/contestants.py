"""Who programs the node: Herald's agent and kube-proxy, each as it is run in a cluster."""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmarks.forward.site import HERALD, KUBE_PROXY
from lab import kube_proxy, pki

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.forward.site import ForwardingSite, Stand


class Contestant(Protocol):
    """Anybody who programs Services when started, and leaves them programmed when ended."""

    @property
    def name(self) -> str:
        """As it is called in what is told."""

    @property
    def stand(self) -> Stand:
        """The node that it has for itself."""

    def command(self, site: ForwardingSite) -> Sequence[str]:
        """What to start on the node. Raises LabError."""


@dataclass(frozen=True, slots=True)
class Herald:
    """The agent with the options of the chart."""

    stand: Stand = HERALD
    with_speaker: bool = False
    """Both roles, as on a node of the product; else the forwarder alone, which is all that kube-proxy is."""

    @property
    def name(self) -> str:
        return "Herald with its speaker" if self.with_speaker else "Herald"

    def command(self, site: ForwardingSite) -> Sequence[str]:
        argv = [
            str(Path(sys.executable).with_name("heraldlb")),
            "agent",
            f"--kubeconfig={site.administrator}",
            f"--node-name={self.stand.node}",
            "--forwarding-mode=full",
            "--metrics-address=",
        ]
        if not self.with_speaker:
            return [*argv, "--roles=forwarder"]
        key = pki.write_private(site.folder / "membership-key", secrets.token_hex(32))
        return [*argv, "--roles=speaker,forwarder", f"--membership-key-file={key}"]


@dataclass(frozen=True, slots=True)
class KubeProxy:
    """kube-proxy in nftables mode, with its defaults."""

    stand: Stand = KUBE_PROXY

    @property
    def name(self) -> str:
        return "kube-proxy"

    def command(self, site: ForwardingSite) -> Sequence[str]:
        file = site.folder / "kube-proxy.json"
        file.write_text(json.dumps(kube_proxy.configuration(self.stand.node, "nftables", site.kube_proxy)))
        return kube_proxy.command(file)
