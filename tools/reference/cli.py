"""The command line of `kubectl herald`, as its own help has it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from heraldlb.cli.kubectl.exits import MEANINGS
from heraldlb.cli.kubectl.main import COMMANDS, group
from tools.reference.markdown import code, sentence, table

_VERBATIM = "\b"
"""Begins a paragraph of help that is not to be filled."""


def cli_sections() -> Iterator[str]:
    """The group, its exit statuses, and each command."""
    context = click.Context(group, info_name="kubectl herald")
    yield _help(group)
    yield table(
        ("Command", "Shows"),
        ((f"[`{name}`](#kubectl-herald-{name})", sentence(listed.summary)) for name, listed in COMMANDS.items()),
    )
    yield table(("Exit status", "Meaning"), ((str(int(status)), said) for status, said in MEANINGS.items()))
    for name in COMMANDS:
        command = group.get_command(context, name)
        if command is not None:
            yield from _command(command, context)


def _command(command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=command.name, parent=parent)
    yield f"### {context.command_path}"
    yield code(" ".join((context.command_path, *command.collect_usage_pieces(context))))
    yield _help(command)
    options = [option for option in command.params if isinstance(option, click.Option)]
    yield table(("Option", "Meaning"), (_option(option, context) for option in options))


def _option(option: click.Option, context: click.Context) -> tuple[str, str]:
    names, _ = option.get_help_record(context) or ("", "")
    default = f" Default: {code(option.default)}." if option.show_default else ""
    return code(names), sentence(option.help or "") + default


def _help(command: click.Command) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(map(_paragraph, paragraphs))


def _paragraph(text: str) -> str:
    if not text.startswith(_VERBATIM):
        return text
    return f"```text\n{text.removeprefix(_VERBATIM).strip()}\n```"
