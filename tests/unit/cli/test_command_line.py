"""The command line itself: arguments, exit statuses, formats, and how quick help is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from heraldlb.api.objects import NamespacedName
from heraldlb.cli.kubectl.ages import age, lasting
from heraldlb.cli.kubectl.document import as_document
from heraldlb.cli.kubectl.exits import MEANINGS, Exit
from heraldlb.cli.kubectl.explain.command import named
from heraldlb.cli.kubectl.main import COMMANDS, group
from heraldlb.cli.kubectl.options import Format
from heraldlb.cli.kubectl.output import show
from heraldlb.cli.kubectl.services.report import State

HEAVY = ("kubernetes", "aiohttp", "kopf", "pyroute2", "yaml", "tabulate")


def run(*arguments: str, home: Path) -> Result:
    """As with an empty home directory, outside a cluster."""
    environment = {"HOME": str(home), "KUBECONFIG": None, "KUBERNETES_SERVICE_HOST": None}
    return CliRunner().invoke(group, arguments, env=environment)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_that_takes_long(command: str) -> None:
    program = (
        "import sys\nfrom heraldlb.cli.kubectl.main import main\nsys.argv[1:] = sys.argv[1].split()\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"sys.exit(', '.join(name for name in {HEAVY} if name in sys.modules) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, f"{command} --help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: kubectl herald {command}".strip())


def test_help_lists_every_command_and_exit_status(tmp_path: Path) -> None:
    said = run("--help", home=tmp_path).output
    for name, listed in COMMANDS.items():
        assert f"  {name} " in said
        assert listed.summary.split()[0] in said
    assert [line.split()[0] for line in said.partition("Exit status:")[2].splitlines() if line[:3].strip()] == [
        str(int(status)) for status in MEANINGS
    ]
    assert set(MEANINGS) == set(Exit)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["status", "--nonsense"], Exit.USAGE),
        (["nonsense"], Exit.USAGE),
        (["explain"], Exit.USAGE),
        (["pools", "-o", "html"], Exit.USAGE),
        (["status"], Exit.UNREACHABLE),
        (["status", "--kubeconfig", "absent"], Exit.UNREACHABLE),
    ],
)
def test_what_cannot_be_done_ends_with_its_status_and_a_message(
    arguments: list[str], status: Exit, tmp_path: Path
) -> None:
    done = run(*arguments, home=tmp_path)
    assert (done.exit_code, done.stdout) == (status, "")
    assert "Error: " in done.stderr


def test_a_server_that_does_not_answer_and_a_context_that_is_not_there_are_told_apart(tmp_path: Path) -> None:
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "here", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    config = {"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "here"}
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    refused = run("pools", "--kubeconfig", str(path), home=tmp_path)
    assert (refused.exit_code, "127.0.0.1:1" in refused.stderr) == (Exit.UNREACHABLE, True)
    absent = run("pools", "--kubeconfig", str(path), "--context", "there", home=tmp_path)
    assert (absent.exit_code, "there" in absent.stderr) == (Exit.UNREACHABLE, True)


@pytest.mark.parametrize(
    ("written", "namespace", "service"),
    [
        ("svc shop/web", "", NamespacedName("shop", "web")),
        ("service web", "shop", NamespacedName("shop", "web")),
        ("shop/web", "", NamespacedName("shop", "web")),
        ("shop/web", "shop", NamespacedName("shop", "web")),
        ("svc/web", "", NamespacedName("", "web")),
        ("service/shop/web", "", NamespacedName("shop", "web")),
        ("web", "", NamespacedName("", "web")),
        ("svc", "shop", NamespacedName("shop", "svc")),
    ],
)
def test_a_service_can_be_named_in_all_the_usual_ways(
    written: str, namespace: str, service: NamespacedName
) -> None:
    assert named(tuple(written.split()), namespace) == service


@pytest.mark.parametrize(
    ("written", "namespace"),
    [("pod web", ""), ("a/b/c", ""), ("/web", ""), ("shop/", ""), ("shop/web", "other"), ("svc a b", "")],
)
def test_what_names_no_service_is_refused(written: str, namespace: str) -> None:
    with pytest.raises(click.UsageError):
        named(tuple(written.split()), namespace)


@dataclass(frozen=True, slots=True)
class Report:
    """One field of each kind."""

    some_service: NamespacedName
    state: State
    addresses: tuple[object, ...]
    names: frozenset[str]
    by_name: dict[NamespacedName, int]
    _hidden: str = ""


REPORT = Report(
    NamespacedName("shop", "web"),
    State.SILENT,
    (ip_address("192.168.1.1"), ip_address("fd00::1")),
    frozenset({"b", "a"}),
    {NamespacedName("", "n1"): 1},
)
DOCUMENT = {
    "someService": "shop/web",
    "state": "NotAnnounced",
    "addresses": ["192.168.1.1", "fd00::1"],
    "names": ["a", "b"],
    "byName": {"/n1": 1},
}


def test_a_document_has_every_field_but_hidden_ones_as_users_write_them() -> None:
    assert as_document(REPORT) == DOCUMENT


@pytest.mark.parametrize(("output", "load"), [(Format.JSON, json.loads), (Format.YAML, yaml.safe_load)])
def test_json_and_yaml_are_the_same_document(
    output: Format, load: object, capsys: pytest.CaptureFixture[str]
) -> None:
    show(REPORT, output, lambda *_: ["not this"])
    assert callable(load)
    assert load(capsys.readouterr().out) == DOCUMENT


@pytest.mark.parametrize(
    ("terminal", "environment", "colours"),
    [(True, {}, True), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False), (False, {}, False)],
    ids=["terminal", "NO_COLOR", "dumb terminal", "pipe"],
)
def test_colours_are_for_terminals_that_want_them(
    terminal: bool,
    environment: dict[str, str],
    colours: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    show(REPORT, Format.TABLE, lambda *_: [click.style("text", fg="red")])
    assert ("\x1b[" in capsys.readouterr().out) is colours


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (61, "1m1s"),
        (720, "12m"),
        (3600, "1h"),
        (100_000, "1d3h"),
        (10**7, "115d"),
        (-5, "0s"),
    ],
)
def test_durations_are_as_short_as_kubectl_has_them(seconds: float, written: str) -> None:
    assert lasting(seconds) == written


def test_what_is_no_time_has_no_age() -> None:
    assert age("", 0.0) == age("yesterday", 0.0) == ""
