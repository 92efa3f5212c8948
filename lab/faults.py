"""Ending and stopping all that runs on a node."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from lab.processes import descendants, in_namespace, namespace_id

if TYPE_CHECKING:
    from pathlib import Path

    from lab.processes import Process

_ROUNDS = 10


def _all(kubelet: Process, network: Path) -> set[Process]:
    """The kubelet, all it has started, and what was started in the node's network by hand."""
    identity = namespace_id(network)
    strangers = in_namespace("net", [identity]) if identity is not None else []
    return {kubelet, *descendants(kubelet), *strangers}


def powerless(kubelet: Process, network: Path) -> None:
    """Kill everything. The kubelet is the first of its PID namespace: the kernel takes its descendants along."""
    kubelet.kill()
    for process in _all(kubelet, network):
        process.kill()


def freeze(kubelet: Process, network: Path) -> None:
    """Stop everything, also what is started while this goes on."""
    stopped: set[Process] = set()
    for _ in range(_ROUNDS):
        running = _all(kubelet, network) - stopped
        if not running:
            return
        for process in running:
            process.send(signal.SIGSTOP)
        stopped |= running


def thaw(kubelet: Process, network: Path) -> None:
    """Continue everything."""
    for process in _all(kubelet, network):
        process.send(signal.SIGCONT)
