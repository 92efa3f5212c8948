"""`kubectl herald status`, the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from heraldlb.cli.kubectl import session
from heraldlb.cli.kubectl.exits import Exit
from heraldlb.cli.kubectl.options import Format, Target, connected, printed
from heraldlb.cli.kubectl.output import show
from heraldlb.cli.kubectl.status.render import render
from heraldlb.cli.kubectl.status.report import StatusReport, status_report

if TYPE_CHECKING:
    from heraldlb.kube.client import Api


@click.command(name="status")
@connected
@printed
@click.pass_context
def command(ctx: click.Context, target: Target, output: Format) -> None:
    """One screen: what is wrong first, then controller and agents, pools, Services by state, recent hand-overs.

    Each finding ends with what to do, or what to run to learn more. Services in one state for one reason are one
    finding. Events are kept by the API server for an hour, unless it was told otherwise; older hand-overs are not
    known. Exits with 1 where something is wrong.
    """

    async def work(api: Api, _: str) -> StatusReport:
        from heraldlb.cli.kubectl.reading import read

        kinds = ("pools", "announcements", "records", "services", "nodes", "pods", "leases", "events")
        return status_report(await read(api, *kinds))

    report = session.run(target, work)
    show(report, output, render)
    ctx.exit(Exit.WRONG if report.is_wrong else Exit.FINE)
