"""However a lab ends, nothing of it is left; and labs do not know of each other."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import binaries, store
from lab.errors import LabError
from lab.lab import Lab
from lab.namespaces import NAMED
from lab.processes import Register, all_pids
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

OWNER = """
import signal, sys
from lab.lab import Lab
# Where the tests run in the background of a shell, it is ignored, and would be here.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Lab(nodes=1, name=sys.argv[1]) as lab:
    print("up", flush=True)
    signal.pause()
"""


@pytest.fixture
def name() -> Iterator[str]:
    name = f"t{secrets.token_hex(3)}"
    yield name
    if name in store.names():
        subprocess.run([sys.executable, "-m", "lab", "down", name], cwd=ROOT, check=True)


def _left_of(name: str) -> list[str]:
    """Everything on this machine that bears the lab's name."""
    folder = store.base_folder() / name
    processes = [f"process {pid}" for pid in all_pids() if str(folder) in _command_line(pid)]
    namespaces = [path.name for path in NAMED.glob(f"hl-{name}-*")]
    marked = [f"process {process.pid}" for process in Register(folder).marked()]
    return processes + marked + namespaces + ([str(folder)] if folder.exists() else [])


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _owner(name: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", OWNER, name], cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_nothing_is_left_when_the_owner_is_ended_by_a_signal(name: str, number: signal.Signals) -> None:
    with _owner(name) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        assert _left_of(name)
        owner.send_signal(number)
    wait_for("nothing of the lab to be left", lambda: not _left_of(name))


def test_nothing_is_left_when_the_owner_is_killed_while_the_lab_comes_up(name: str) -> None:
    with _owner(name) as owner:
        wait_for("the API server to be started", lambda: Register(store.base_folder() / name).get("kube-apiserver"))
        owner.send_signal(signal.SIGKILL)
    wait_for("nothing of the lab to be left", lambda: not _left_of(name))


def test_two_labs_run_side_by_side_and_end_apart(lab: Lab, name: str) -> None:
    with Lab(nodes=1, name=name) as other:
        assert other.ready_nodes() == {"node-1"}
        assert lab.ready_nodes() == set(lab.nodes)
        assert other.client.ipv4 == lab.client.ipv4
    assert not _left_of(name)
    assert lab.ready_nodes() == set(lab.nodes)


def test_a_failure_inside_takes_the_lab_down_and_is_raised(name: str) -> None:
    with pytest.raises(ZeroDivisionError), Lab(nodes=0, name=name):
        raise ZeroDivisionError
    assert not _left_of(name)


def test_a_name_that_is_taken_is_refused_and_its_lab_left_alone(name: str) -> None:
    with Lab(nodes=0, name=name) as first:
        with pytest.raises(LabError, match="exists"), Lab(nodes=0, name=name):
            pass
        assert first.items("nodes") == []


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_kept_lab_is_used_and_removed_by_other_processes(name: str) -> None:
    brought_up = _command("up", "--nodes", "1", "--name", name, "--keep")
    assert brought_up.returncode == 0, brought_up.stderr
    assert f"{name}  1 nodes  kept" in _command("list").stdout
    kubeconfig = store.base_folder() / name / "kubeconfig"
    assert str(kubeconfig) in brought_up.stdout
    shown = subprocess.run(
        [str(binaries.find("kubectl")), "get", "nodes", "-o", "name"],
        env=os.environ | {"KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "node/node-1\n"
    addresses = _command("exec", "--name", name, "client", "--", "ip", "-brief", "address", "show", "eth0")
    assert "192.168.100.200/24" in addresses.stdout
    assert _command("exec", "--name", name, "client", "--", "sh", "-c", "exit 7").returncode == 7
    assert (
        _command("cut-link", "--name", name, "node-9").stderr
        == "error: there is no host 'node-9'; there are: cp, node-1, client\n"
    )
    assert _command("power-off", "--name", name, "node-1").returncode == 0
    assert "node-1 is powered off" in _command("exec", "--name", name, "node-1", "--", "true").stderr
    assert _command("down", name).stdout == f"Lab {name} is gone.\n"
    assert not _left_of(name)


def test_a_lab_that_is_not_there_is_told_with_those_that_are(lab: Lab) -> None:
    told = _command("exec", "--name", "nowhere", "client", "--", "true")
    assert told.returncode == 1
    assert told.stderr.startswith("error: there is no lab named 'nowhere'; there are: ")
    assert lab.name in told.stderr
