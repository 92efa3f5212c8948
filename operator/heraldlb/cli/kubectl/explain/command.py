"""`kubectl herald explain`, the command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from heraldlb.api.objects import NamespacedName
from heraldlb.cli.kubectl import session
from heraldlb.cli.kubectl.exits import Exit
from heraldlb.cli.kubectl.options import Format, Target, connected, in_namespace, printed
from heraldlb.cli.kubectl.output import show

if TYPE_CHECKING:
    from heraldlb.cli.kubectl.explain.report import StoryReport
    from heraldlb.kube.client import Api

_KINDS = ("svc", "service", "services")


@click.command(name="explain")
@click.argument("what", nargs=-1, required=True, metavar="[svc] [NAMESPACE/]NAME")
@in_namespace("Namespace of the Service. Default: that of the context.")
@connected
@printed
@click.pass_context
def command(ctx: click.Context, target: Target, output: Format, namespace: str, what: tuple[str, ...]) -> None:
    """The story of one Service: from what it asks for to the packet that reaches a pod, and what to try next.

    \b
    Request     what the Service asks for, as Herald reads it
    Pools       what each pool answers, and what follows; decided anew by the controller's own rules,
                and held against what the controller has said
    Address     which node announces it since when, which others may, and what keeps the rest;
                how many ARP requests or neighbour solicitations its agent has seen and answered
    Forwarding  which endpoints connections reach, and who forwards them
    Events      what happened lately
    What next   what to try, the most promising first

    Exits with 0 where the Service works as far as can be told, and with 1 where it does not.
    """
    # The agents' rules, which it goes by, take half a second to load.
    from heraldlb.cli.kubectl.explain.render import render

    wanted = named(what, namespace)

    async def work(api: Api, of_context: str) -> StoryReport:
        from heraldlb.cli.kubectl.explain.reading import read_story

        return await read_story(api, replace(wanted, namespace=wanted.namespace or of_context))

    report = session.run(target, work)
    show(report, output, render)
    ctx.exit(Exit.FINE if report.works else Exit.WRONG)


def named(what: tuple[str, ...], namespace: str) -> NamespacedName:
    """The Service named on the command line; its namespace is empty where none is given."""
    words = list(what)
    if len(words) == 2 and words[0] in _KINDS:
        words.pop(0)
    elif len(words) == 1 and words[0].split("/")[0] in _KINDS and words[0].count("/"):
        # As kubectl writes it: svc/NAME, or service/NAMESPACE/NAME.
        words = [words[0].partition("/")[2]]
    if len(words) != 1:
        raise click.UsageError(
            f'"{" ".join(what)}" is not a Service: write NAMESPACE/NAME, or NAME with -n NAMESPACE'
        )
    before, slash, name = words[0].rpartition("/")
    if not name or "/" in before or (slash and not before):
        raise click.UsageError(f'"{words[0]}" is not NAMESPACE/NAME')
    if before and namespace and before != namespace:
        raise click.UsageError(f'the Service is said to be in "{before}" and by --namespace in "{namespace}"')
    return NamespacedName(before or namespace, name)
