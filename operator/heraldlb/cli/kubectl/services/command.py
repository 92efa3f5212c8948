"""`kubectl herald services`, the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from heraldlb.cli.kubectl import session
from heraldlb.cli.kubectl.exits import Exit
from heraldlb.cli.kubectl.options import Format, Target, connected, in_namespace, printed
from heraldlb.cli.kubectl.output import show
from heraldlb.cli.kubectl.services.render import render
from heraldlb.cli.kubectl.services.report import ServicesReport, services_report

if TYPE_CHECKING:
    from heraldlb.kube.client import Api


@click.command(name="services")
@in_namespace("Only Services of this namespace. Default: of all.")
@click.option("--wrong", is_flag=True, help="Only Services with which something needs to be done.")
@connected
@printed
@click.pass_context
def command(ctx: click.Context, target: Target, output: Format, namespace: str, wrong: bool) -> None:
    """Services of type LoadBalancer: how far each has come, its addresses, and which nodes announce them.

    \b
    Announced     has what it asks for, and nodes answer for it
    Unmet         has an address, but not all that it asks for
    Refused       has no address, and the controller says why
    NotAnnounced  has an address that no node announces
    Contested     a host that is none of the nodes claims its address
    Pending       has no address, and the controller has not said anything yet
    NotServed     is of a loadBalancerClass that Herald does not serve

    Exits with 1 where a Service is Unmet, Refused, NotAnnounced or Contested.
    """

    async def work(api: Api, _: str) -> ServicesReport:
        from heraldlb.cli.kubectl.reading import read

        return services_report(await read(api, "services", "records", "pods", namespace=namespace), namespace)

    report = session.run(target, work)
    show(ServicesReport(report.wrong, report.now) if wrong else report, output, render)
    ctx.exit(Exit.WRONG if report.wrong else Exit.FINE)
