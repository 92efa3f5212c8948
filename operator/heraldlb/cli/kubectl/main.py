"""`kubectl-herald`, which kubectl runs as `kubectl herald`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import click

from heraldlb import __version__
from heraldlb.cli.kubectl.exits import MEANINGS, CommandError


@dataclass(frozen=True, slots=True)
class Listed:
    """A command as the list of commands shows it; its module holds a `click.Command` named `command`."""

    module: str
    summary: str


COMMANDS: Final[Mapping[str, Listed]] = {
    "status": Listed("heraldlb.cli.kubectl.status.command", "One screen: what is wrong, and how things are."),
    "services": Listed(
        "heraldlb.cli.kubectl.services.command", "Services, their addresses and who announces them."
    ),
    "pools": Listed("heraldlb.cli.kubectl.pools.command", "Address pools, and how full they are."),
    "explain": Listed("heraldlb.cli.kubectl.explain.command", "The story of one Service, from request to packet."),
    "doctor": Listed(
        "heraldlb.cli.kubectl.doctor.command", "What breaks load balancing on layer 2, and how to set it right."
    ),
    "plan": Listed("heraldlb.cli.kubectl.plan.command", "What an edit of pools would do, before it is applied."),
    "migrate": Listed("heraldlb.cli.kubectl.migrate.command", "From MetalLB, Cilium or kube-vip to Herald."),
}
"""In the order of the help."""


class Commands(click.Group):
    """Imports the command that is run and no other, so that help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name].module).command
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CommandError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.status)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, listed.summary) for name, listed in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit status"):
            formatter.write_dl([(str(int(status)), meaning) for status, meaning in MEANINGS.items()])


@click.group(
    cls=Commands,
    name="kubectl herald",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="kubectl herald")
def group() -> None:
    """Ask Herald which addresses there are, who has them, and why something does not work.

    Uses the same credentials and context as kubectl. Nothing is changed in the cluster unless a command says so.
    """


def main() -> None:
    """Entry point."""
    group(prog_name="kubectl herald")
