"""`kubectl herald pools`, the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from heraldlb.cli.kubectl import session
from heraldlb.cli.kubectl.exits import Exit
from heraldlb.cli.kubectl.options import Format, Target, connected, printed
from heraldlb.cli.kubectl.output import show
from heraldlb.cli.kubectl.pools.render import render
from heraldlb.cli.kubectl.pools.report import PoolsReport, pools_report

if TYPE_CHECKING:
    from heraldlb.kube.client import Api


@click.command(name="pools")
@connected
@printed
@click.pass_context
def command(ctx: click.Context, target: Target, output: Format) -> None:
    """Address pools in the order in which they are tried, and how full they are.

    USED counts addresses that Services hold. The bar also has those that are set apart: quarantined, or kept for a
    former Service. FREE is what is left for Services that ask for no address in particular.

    Exits with 1 where an entry of a pool cannot be used.
    """

    async def work(api: Api, _: str) -> PoolsReport:
        from heraldlb.cli.kubectl.reading import read

        return pools_report(await read(api, "pools"))

    report = session.run(target, work)
    show(report, output, render)
    ctx.exit(Exit.WRONG if report.is_wrong else Exit.FINE)
