"""`kubectl herald doctor`, the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from heraldlb.cli.kubectl import session
from heraldlb.cli.kubectl.exits import Exit
from heraldlb.cli.kubectl.options import Format, Target, connected, printed
from heraldlb.cli.kubectl.output import show

if TYPE_CHECKING:
    from heraldlb.cli.kubectl.doctor.report import DoctorReport
    from heraldlb.kube.client import Api


@click.command(name="doctor")
@click.option("--node", default="", metavar="NAME", help="Look at this node alone.")
@click.option(
    "--probe/--no-probe",
    "probes",
    default=True,
    help="Have nodes ask their networks who has unassigned addresses of pools, and which DHCP servers there are.",
)
@connected
@printed
@click.pass_context
def command(ctx: click.Context, target: Target, output: Format, node: str, probes: bool) -> None:
    """What breaks load balancing on layer 2: looked for in the cluster, on each node, and on the network.

    Each finding tells what was seen where, and what to do. Below stand what was checked and is fine, and what could
    not be checked and why. Nothing is changed, neither in the cluster nor on nodes.

    Agents are asked through the API server (get, and with --probe create, on pods/proxy). With --probe, one node of
    each network sends ARP probes or neighbour solicitations for up to 256 unassigned addresses of each pool, and a
    DHCPDISCOVER, which takes some seconds; no host's cache is changed by it.

    Exits with 1 where something is wrong.
    """
    # The agents' rules, which some checks go by, take half a second to load.
    from heraldlb.cli.kubectl.doctor.render import render

    async def work(api: Api, _: str) -> DoctorReport:
        from heraldlb.cli.kubectl.doctor.reading import examine_cluster
        from heraldlb.cli.kubectl.doctor.report import doctor_report

        return doctor_report(await examine_cluster(api, node=node, probes=probes))

    report = session.run(target, work)
    show(report, output, render)
    ctx.exit(Exit.WRONG if report.is_wrong else Exit.FINE)
