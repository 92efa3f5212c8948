"""Pages lead where they say, are to be found, and say only what Herald has and prints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

import heraldlb
from heraldlb.api import group
from heraldlb.api.explanations import EXPLANATIONS
from heraldlb.api.reasons import Reason
from heraldlb.cli.kubectl.main import group as plugin
from heraldlb.cli.main import main as processes
from tools.pages import (
    DOCS,
    NAVIGATION,
    ROOT,
    anchors,
    blocks,
    broken_link,
    commands,
    links,
    manifests,
    navigation,
    pages,
)

TROUBLESHOOTING = DOCS / "troubleshooting.md"
VALUES = yaml.safe_load((ROOT / "charts/heraldlb/values.yaml").read_text())
VALUE = re.compile(r"`((?:agent|controller|apiServer|pool|image|logging)\.[A-Za-z.]+)`")
VALUE_SET = re.compile(r"--set '?([A-Za-z.]+)(?:\[\d+\][\w.]*)?=")
OUR_COMMAND = re.compile(r"(?:sudo (?:-E )?)?(kubectl herald|\./dev|heraldlb) ([a-z][a-z-]*)(.*)")
OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")
DEV_COMMANDS = set(re.findall(r"^  (\w+)(?: \|[^)]*)?\) ", (ROOT / "dev").read_text(), re.MULTILINE))
NAME_OF_OURS = re.compile(r"(?<![\w/.-])heraldlb\.io/([a-zA-Z][\w-]*)")
OTHER_NAMES = {"v1beta1", "controller", "agent", "AddressAssigned"}
"""What else has our group before it: the version, who writes Events, and the condition."""

CHANGELOG = ROOT / "CHANGELOG.md"
"""Tells of what was, too."""

every_page = pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())


def values_named(values: dict[str, object], prefix: str = "") -> Iterator[str]:
    """The path of every value of the chart."""
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from values_named(value, f"{prefix}{key}.")


def templates() -> list[str]:
    """Every text in the package, with `…` where something is put in."""
    found = []
    for path in Path(heraldlb.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%[.\d]*[a-z]", "…", node.value))
    return found


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [problem for target in links(page.read_text()) if (problem := broken_link(page, target))] == []


@every_page
def test_values_and_names_of_ours_are_those_that_there_are(page: Path) -> None:
    text = page.read_text()
    installing = (command for command in commands(text) if "charts/heraldlb" in command)
    values = {*VALUE.findall(text), *(value for command in installing for value in VALUE_SET.findall(command))}
    assert page == CHANGELOG or values <= set(values_named(VALUES))
    ours = {value.removeprefix(f"{group.GROUP}/") for value in vars(group).values() if isinstance(value, str)}
    assert set(NAME_OF_OURS.findall(text)) <= ours | OTHER_NAMES


def problem_with(command: str) -> str:
    """What there is not of a command of ours, or nothing."""
    found = OUR_COMMAND.match(command)
    if not found:
        return ""
    program, name, arguments = found.groups()
    if program == "./dev":
        return "" if name in DEV_COMMANDS else command
    group_of = plugin if program == "kubectl herald" else processes
    known = group_of.get_command(click.Context(group_of), name)
    if known is None:
        return command
    options = {option for parameter in known.params for option in parameter.opts} | {"--help"}
    return " ".join(option for option in OPTION.findall(arguments) if option not in options)


@every_page
def test_commands_and_options_of_ours_are_those_that_there_are(page: Path) -> None:
    assert [problem for command in commands(page.read_text()) if (problem := problem_with(command))] == []


@pytest.mark.parametrize(
    "command", ["./dev tset", "kubectl herald expalin svc web", "kubectl herald plan --fiel x", "heraldlb agnet"]
)
def test_a_command_that_there_is_not_is_found(command: str) -> None:
    (quoted,) = commands(f"Do `{command}`.")
    assert problem_with(quoted)


def test_the_navigation_has_every_page_once() -> None:
    listed = navigation()
    assert len(set(listed)) == len(listed)
    assert {*listed, NAVIGATION} >= set(DOCS.rglob("*.md"))
    assert [page for page in listed if not page.exists()] == []


def test_every_warning_is_in_the_troubleshooting() -> None:
    warnings = {reason for reason in Reason if (event := EXPLANATIONS[reason].event) and event.warning}
    linked = {
        target.partition("#")[2] for target in links(TROUBLESHOOTING.read_text()) if "reference.md#" in target
    }
    assert {reason.value.lower() for reason in warnings} <= linked


def test_the_troubleshooting_quotes_what_herald_prints() -> None:
    printed = templates()
    page = TROUBLESHOOTING.read_text()
    italics = re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", page)
    said = [*italics, *(block.text for block in blocks(page) if block.kind == "text")]
    quoted = [piece.strip() for words in said for piece in re.split(r"…|\n", words) if piece.strip()]
    assert [piece for piece in quoted if not any(piece in template for template in printed)] == []


def test_every_example_is_on_a_page() -> None:
    linked = {(page.parent / target).resolve() for page in pages() for target in links(page.read_text())}
    assert set((ROOT / "examples").glob("*.yaml")) <= linked


def test_a_how_to_shows_the_same_as_the_example_that_it_names() -> None:
    examples = {
        (body["kind"], body["metadata"]["name"]): body
        for path in (ROOT / "examples").glob("*.yaml")
        for body in yaml.safe_load_all(path.read_text())
    }
    shown = [body for page in (DOCS / "how-to").glob("*.md") for body in manifests(page.read_text())]
    both = [body for body in shown if (body["kind"], body["metadata"]["name"]) in examples]
    assert len(both) > 5
    assert [body for body in both if body != examples[body["kind"], body["metadata"]["name"]]] == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    text = (
        "# One `code`\n```\n# none\n[x](y)\n```\n## One `code`\n[a](#one-code-1) ![b](no.svg) `[c](d)` [e](urn:f)"
    )
    assert anchors(text) == {"one-code", "one-code-1"}
    assert links(text) == ["#one-code-1", "no.svg"]
    assert broken_link(ROOT / "README.md", "dev") == ""
    assert broken_link(ROOT / "README.md", "none.md") == "none.md: no such file"
    assert broken_link(ROOT / "README.md", "CONTRIBUTING.md#none") == "CONTRIBUTING.md#none: no such heading"
    assert broken_link(ROOT / "README.md", str(tmp_path)) == f"{tmp_path}: no such file"
