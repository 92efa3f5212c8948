"""The lab by hand: `python -m lab up --nodes 3 --keep`, then `exec`, `logs`, faults, and `down`."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING, get_args

from lab import binaries, store
from lab.errors import LabError
from lab.kube_proxy import Mode
from lab.lab import Lab
from lab.progress import to_stderr
from lab.teardown import teardown

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.host import Host

_FAULTS: dict[str, tuple[int, str]] = {
    "power-off": (1, "kill all that runs on a node and take its link"),
    "power-on": (1, "boot a node"),
    "freeze": (1, "stop (SIGSTOP) all that runs on a node"),
    "thaw": (1, "let a frozen node go on"),
    "cut-link": (1, "pull a host's cable"),
    "heal-link": (1, "plug it back in"),
    "cut": (2, "drop all frames between two hosts"),
    "heal": (2, "undo cut"),
    "stop-api-server": (0, "stop kube-apiserver; etcd keeps the state"),
    "start-api-server": (0, "start it again"),
}


def _how_to_use(lab: Lab) -> str:
    return "\n".join(
        (
            f"Lab {lab.name} is up: {', '.join(lab.nodes)} and a client on {lab.client.ipv4}, {lab.client.ipv6}.",
            f"  export KUBECONFIG={lab.kubeconfig}",
            f"  python -m lab exec --name {lab.name} client -- curl http://ADDRESS/",
            f"  python -m lab down {lab.name}",
        )
    )


def _up(arguments: argparse.Namespace) -> int:
    lab = Lab(arguments.nodes, arguments.name, progress=to_stderr)
    with lab:
        if arguments.kube_proxy:
            lab.start_kube_proxy(arguments.kube_proxy)
        print(_how_to_use(lab), flush=True)
        if arguments.keep:
            lab.keep()
        else:
            print("Ctrl-C takes it down.", flush=True)
            signal.pause()
    return 0


def _down(arguments: argparse.Namespace) -> int:
    there = store.names()
    names: list[str] = there if arguments.all else arguments.names or store.kept()
    if len(names) > 1 and not arguments.all and not arguments.names:
        raise LabError(f"say which lab you mean, or --all: {', '.join(names)}")
    for name in names:
        if name not in there:
            raise LabError(f"there is no lab named {name!r}; there are: {', '.join(there) or 'none'}")
        teardown(store.base_folder() / name)
        print(f"Lab {name} is gone.")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    del arguments
    for name in store.names():
        state = store.State.load(store.base_folder() / name)
        if state is None:
            print(f"{name}  coming up, or an API server without nodes")
        else:
            print(f"{name}  {state.nodes} nodes  {'kept' if state.kept else 'owned'}  {store.base_folder() / name}")
    return 0


def _host(lab: Lab, name: str) -> Host:
    if name in lab.hosts:
        return lab.hosts[name]
    namespace, _, pod = name.rpartition("/")
    return lab.pod(pod, namespace or "default")


def _exec(arguments: argparse.Namespace) -> int:
    command: list[str] = arguments.command
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise LabError("say what to run: python -m lab exec client -- curl http://ADDRESS/")
    host = _host(Lab.attach(arguments.name), arguments.host)
    # The command has the terminal; what Ctrl-C means is for it to say.
    signal.signal(signal.SIGINT, lambda *_: None)
    return host.run(command)


def _logs(arguments: argparse.Namespace) -> int:
    sys.stdout.write(Lab.attach(arguments.name).log(arguments.pod, arguments.namespace))
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    del arguments
    binaries.find_all()
    return 0


def _fault(arguments: argparse.Namespace) -> int:
    lab = Lab.attach(arguments.name, progress=to_stderr)
    for host in arguments.hosts:
        if host not in lab.hosts:
            raise LabError(f"there is no host {host!r}; there are: {', '.join(lab.hosts)}")
    getattr(lab, arguments.action.replace("-", "_"))(*arguments.hosts)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)

    def action(name: str, run: Callable[[argparse.Namespace], int], description: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=description, description=description)
        added.set_defaults(run=run)
        return added

    up = action("up", _up, "bring a lab up; without --keep, until Ctrl-C")
    up.add_argument("--nodes", type=int, default=3)
    up.add_argument("--name", help="default: four random digits")
    up.add_argument(
        "--kube-proxy", choices=get_args(Mode), help="run one on every node, in this mode (default: none)"
    )
    up.add_argument("--keep", action="store_true", help="leave it running")
    down = action("down", _down, "take labs down; without a name, the kept one")
    down.add_argument("names", nargs="*", metavar="NAME")
    down.add_argument("--all", action="store_true", help="every lab of this user, also those in use")
    action("list", _list, "list labs")
    action("fetch", _fetch, "have all programs at hand; takes minutes the first time")
    execute = action("exec", _exec, "run a command on a host, or in the network of a pod (NAMESPACE/POD)")
    execute.add_argument("host")
    execute.add_argument("command", nargs=argparse.REMAINDER)
    logs = action("logs", _logs, "print what a pod's containers have printed")
    logs.add_argument("pod")
    logs.add_argument("-n", "--namespace", default="default")
    attached = [execute, logs]
    for name, (hosts, description) in _FAULTS.items():
        fault = action(name, _fault, description)
        fault.set_defaults(hosts=[])
        if hosts:
            fault.add_argument("hosts", nargs=hosts, metavar="HOST")
        attached.append(fault)
    for each in attached:
        each.add_argument("--name", help="the lab; default: the only one there is")
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        result: int = arguments.run(arguments)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return result


if __name__ == "__main__":
    sys.exit(main())
