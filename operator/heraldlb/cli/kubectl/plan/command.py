"""`kubectl herald plan`, the command."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from heraldlb.api.group import GROUP
from heraldlb.api.objects import Raw
from heraldlb.cli.kubectl import session
from heraldlb.cli.kubectl.exits import CommandError, Exit
from heraldlb.cli.kubectl.files import read_files
from heraldlb.cli.kubectl.options import Format, Target, connected, printed
from heraldlb.cli.kubectl.output import show
from heraldlb.cli.kubectl.plan.edit import KINDS, edited

if TYPE_CHECKING:
    from heraldlb.cli.kubectl.snapshot import Snapshot
    from heraldlb.kube.client import Api
    from heraldlb.migration.documents import Document

Refusals = dict[tuple[str, str], str]

_READ = ("pools", "announcements", "records", "services", "namespaces", "nodes", "pods")


@click.command(name="plan")
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    required=True,
    metavar="FILE",
    help="AddressPools and L2Announcements that are new or changed; a folder, or - for standard input."
    " May be given several times.",
)
@click.option("--delete", is_flag=True, help="What if they were deleted.")
@click.option(
    "--state",
    multiple=True,
    metavar="FILE",
    help="Take what there is from this file, as `kubectl get svc,ns,nodes,herald -A -o yaml` writes it, not from a"
    " cluster. May be given several times.",
)
@connected
@printed
@click.pass_context
def command(
    ctx: click.Context, files: tuple[str, ...], delete: bool, state: tuple[str, ...], target: Target, output: Format
) -> None:
    """What new or changed AddressPools and L2Announcements would do, before they are applied.

    Says what the API server would refuse, what the controller would write about each pool, which Services would
    get, keep, lose or change an address and why, and from which nodes addresses would be announced. The decisions
    are those of the controller itself, taken on a copy. Nothing is written to the cluster. With -o wide, Services
    to which nothing happens are listed, too.

    Exits with 1 if something would be refused, or a Service would not be reached where it is now.
    """
    # The agents' rules take long to load, and help needs none of them.
    from heraldlb.cli.kubectl.installation import installation
    from heraldlb.cli.kubectl.offline import snapshot_of
    from heraldlb.cli.kubectl.plan.render import render
    from heraldlb.cli.kubectl.plan.report import plan_report

    objects = [_planned(document) for document in read_files(files)]
    if state:
        snapshot, refusals = snapshot_of((document.raw for document in read_files(state)), time.time()), Refusals()
    else:
        snapshot, refusals = _ask(target, [] if delete else objects)
    after, edits = edited(snapshot, objects, refusals, delete=delete)
    made = plan_report(snapshot, after, edits, installation(snapshot))
    show(made, output, render)
    ctx.exit(Exit.WRONG if made.harms else Exit.FINE)


def _planned(document: Document) -> Raw:
    if document.group != GROUP or document.kind not in KINDS:
        kinds = " and ".join(f"{kind}s" for kind in KINDS)
        message = (
            f"{document.source}: {document.title or 'a document'} cannot be planned: only {kinds} of {GROUP} can"
        )
        raise CommandError(message, Exit.USAGE)
    if not document.name:
        raise CommandError(f"{document.source}: an object without metadata.name", Exit.USAGE)
    return document.raw


def _ask(target: Target, objects: Sequence[Raw]) -> tuple[Snapshot, Refusals]:
    """The cluster as it is, and what its API server would refuse."""

    async def work(api: Api, _: str) -> tuple[Snapshot, Refusals]:
        from heraldlb.cli.kubectl.plan.trying import refused
        from heraldlb.cli.kubectl.reading import read

        return await read(api, *_READ), await refused(api, objects)

    return session.run(target, work)
