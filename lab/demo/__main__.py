"""Herald in a cluster in a box, as its user sees it: addresses, announcing, forwarding, failover."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING, Final

from lab import store
from lab.demo.shell import Shell
from lab.demo.terminal import Terminal
from lab.demo.tour import NAMESPACE, REPOSITORY, Tour
from lab.errors import LabError
from lab.lab import Lab
from lab.processes import Register, network_namespaces
from lab.teardown import teardown

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT: Final = "demo"
_NODES: Final = 3


def _show(terminal: Terminal, *, keep: bool) -> None:
    if keep and _KEPT in store.names():
        raise LabError("a kept demo is up already; `./dev demo --down` takes it down")
    lab = Lab(_NODES, _KEPT if keep else None, progress=terminal.progress)
    terminal.remark(f"A Kubernetes cluster of {_NODES} nodes on this machine: a real control plane, and a network")
    terminal.remark("namespace for each node, for each pod, and for a client on the same LAN.")
    try:
        with terminal.waiting("Starting the cluster", reports=True):
            lab.up()
        shell = Shell(lab, terminal, REPOSITORY)
        shell.set_up()
        try:
            Tour(lab, terminal, shell).run(leave_whole=keep)
        except LabError as error:
            terminal.failure(f"\nNOT AS IT SHOULD BE: {error}")
            for line in _logs(lab):
                terminal.output(line)
            raise
        if keep:
            lab.keep()
            _explain(terminal, lab, shell)
            return
        terminal.gap()
    except BaseException:
        _take_down(terminal, lab)
        raise
    _take_down(terminal, lab)


def _take_down(terminal: Terminal, lab: Lab) -> None:
    with terminal.waiting("Taking everything down"):
        lab.down()
    _check_gone(terminal, lab.name)


def _check_gone(terminal: Terminal, name: str) -> None:
    folder = store.base_folder() / name
    left = [f"namespace {each}" for each in network_namespaces(f"hl-{name}-")]
    left += [f"process {process.pid}" for process in Register(folder).marked()]
    left += [str(folder)] if folder.exists() else []
    if left:
        raise LabError(f"left behind: {', '.join(left)}")
    terminal.remark("Everything is taken down: no process, network namespace or file of it is left.")


def _logs(lab: Lab) -> Iterator[str]:
    for pod in lab.items("pods", "-n", NAMESPACE):
        name = pod["metadata"]["name"]
        yield f"\n-- {name} on {pod['spec'].get('nodeName', 'no node')}:\n{lab.log_tail(name, NAMESPACE)}"


def _explain(terminal: Terminal, lab: Lab, shell: Shell) -> None:
    terminal.heading("It stays up")
    terminal.output(f"export PATH={shell.path}:$PATH KUBECONFIG={lab.kubeconfig}\n")
    for command, meaning in (
        ("kubectl get svc web", "as above, from this shell"),
        (f"ip netns exec {lab.client.netns} bash", "a shell on the client host, for curl and ping"),
        (f"./dev lab power-off --name {lab.name} node-1", "power off; power-on boots it again"),
        (f"./dev lab logs --name {lab.name} -n {NAMESPACE} POD", "what a pod of Herald has printed"),
        ("./dev demo --down", "take it down"),
    ):
        terminal.output(f"{command:<50} # {meaning}")


def _take_kept_down(terminal: Terminal) -> None:
    if _KEPT not in store.names():
        terminal.remark("There is no kept demo.")
        return
    with terminal.waiting("Taking everything down"):
        teardown(store.base_folder() / _KEPT)
    _check_gone(terminal, _KEPT)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--keep", action="store_true", help="leave it up at the end, and say how to reach it")
    what.add_argument("--down", action="store_true", help="take down what --keep left up")
    arguments = parser.parse_args()
    terminal = Terminal()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        if arguments.down:
            _take_kept_down(terminal)
        else:
            _show(terminal, keep=arguments.keep)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
