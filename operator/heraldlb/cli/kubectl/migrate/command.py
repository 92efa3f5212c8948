"""`kubectl herald migrate`, the command."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heraldlb.api.group import LOAD_BALANCER_CLASS
from heraldlb.cli.kubectl import session
from heraldlb.cli.kubectl.exits import CommandError, Exit
from heraldlb.cli.kubectl.files import read_files
from heraldlb.cli.kubectl.offline import snapshot_of
from heraldlb.cli.kubectl.options import Format, Target, connected, printed
from heraldlb.cli.kubectl.output import colourful, show, width
from heraldlb.cli.kubectl.snapshot import Snapshot, controller_view
from heraldlb.controller.settings import ControllerSettings

if TYPE_CHECKING:
    from heraldlb.kube.client import Api
    from heraldlb.migration.documents import Document
    from heraldlb.migration.report import MigrationReport

NOTHING_FOUND = (
    "no configuration of MetalLB, Cilium or kube-vip was found: name the files that have it by -f, or look whether"
    " this is the right cluster"
)

_READ = ("services", "namespaces")
_READ_OF_OURS = ("pools", "records")


@click.command(name="migrate")
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="FILE",
    help="Read this file, or all in this folder, instead of the cluster's configuration; - is standard input."
    " May be given several times. Services among them are looked at instead of the cluster's.",
)
@click.option(
    "--from",
    "origins",
    multiple=True,
    type=click.Choice(["metallb", "cilium", "kube-vip"]),
    help="Whose configuration to carry over. Default: all that is found.",
)
@click.option("--to", "objects_file", default="", metavar="FILE", help="Write Herald's objects to this file.")
@click.option("--offline", is_flag=True, help="Ask no cluster: without Services in the files nothing is proved.")
@click.option(
    "--load-balancer-class",
    default=LOAD_BALANCER_CLASS,
    show_default=True,
    metavar="NAME",
    help="The spec.loadBalancerClass that Herald will be installed for; it cannot be changed on a Service.",
)
@click.option("--no-default-class", is_flag=True, help="Herald will not serve Services without a class.")
@connected
@printed
@click.pass_context
def command(
    ctx: click.Context,
    files: tuple[str, ...],
    origins: tuple[str, ...],
    objects_file: str,
    offline: bool,
    load_balancer_class: str,
    no_default_class: bool,
    target: Target,
    output: Format,
) -> None:
    """From MetalLB, Cilium or kube-vip to Herald, without a change of address.

    Reads MetalLB's objects or its ConfigMap of old, Cilium's load-balancer pools and layer-2 policies, and
    kube-vip's ConfigMap. Prints Herald's objects as YAML, and on standard error an account: every line that has no
    place in them and why, what becomes of each Service by the decisions that the controller would take, and the
    steps of the switch-over. Changes nothing in the cluster. With -o json or yaml, all of that is one document.

    Exits with 1 if a Service would not keep its addresses.
    """
    from heraldlb.migration.convert import Origin, sort
    from heraldlb.migration.documents import DocumentError
    from heraldlb.migration.report import report

    settings = ControllerSettings(load_balancer_class, not no_default_class)
    documents, snapshot = _read(files, offline, target)
    found = sort(documents)
    if origins:
        chosen = {origin: each for origin, each in found.configuration.items() if origin in map(Origin, origins)}
        found = replace(found, configuration=chosen)
    if not found.configuration:
        raise CommandError(NOTHING_FOUND, Exit.NOT_FOUND)
    now = time.time()
    view = None if snapshot is None else controller_view(snapshot)
    try:
        made = report(found, view, settings, now, objects_file)
    except DocumentError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    _print(made, objects_file, output)
    ctx.exit(Exit.FINE if made.keeps_all else Exit.WRONG)


def _read(files: tuple[str, ...], offline: bool, target: Target) -> tuple[list[Document], Snapshot | None]:
    """The configuration, and the Services; None where nothing is known of them."""
    documents = read_files(files)
    if any(document.kind == "Service" for document in documents):
        return documents, snapshot_of((document.raw for document in documents), time.time())
    if offline:
        return documents, None

    async def work(api: Api, _: str) -> tuple[list[Document], Snapshot]:
        from heraldlb.cli.kubectl.migrate.foreign import read_foreign
        from heraldlb.cli.kubectl.reading import read

        foreign = [] if files else await read_foreign(api)
        try:
            return foreign, await read(api, *_READ, *_READ_OF_OURS)
        except CommandError as error:
            if error.status is not Exit.NOT_FOUND:
                raise
            # Herald is yet to come.
            return foreign, await read(api, *_READ)

    foreign, snapshot = session.run(target, work)
    return [*documents, *foreign], snapshot


def _print(made: MigrationReport, objects_file: str, output: Format) -> None:
    from heraldlb.cli.kubectl.migrate.render import render
    from heraldlb.migration.manifests import dump

    objects = dump(made.objects) if made.objects else ""
    if objects_file:
        try:
            Path(objects_file).write_text(objects, "utf-8")
        except OSError as error:
            raise CommandError(f"cannot write: {error}", Exit.USAGE) from error
    if output in (Format.JSON, Format.YAML):
        show(made, output, render)
        return
    lines = "\n".join(render(made, output is Format.WIDE, width()))
    click.echo(lines, err=not objects_file, color=None if colourful() else False)
    if not objects_file:
        click.echo(objects, nl=False)
