"""`heraldlb`: the entry points of the controller and of the node agent."""

from __future__ import annotations

import click

from heraldlb import __version__
from heraldlb.cli.agent import agent
from heraldlb.cli.controller import controller


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """LoadBalancer Services for bare-metal Kubernetes."""


main.add_command(controller)
main.add_command(agent)
