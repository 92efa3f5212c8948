"""What the demo shows, in its order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab import workloads
from lab.demo.failover import Outage, announcers, family, power_off_announcer
from lab.demo.latency import watching
from lab.demo.shell import ShownError
from lab.waiting import WaitTimeoutError, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.demo.shell import Shell
    from lab.demo.terminal import Terminal
    from lab.lab import Lab

REPOSITORY: Final = Path(__file__).parents[2]
NAMESPACE: Final = "kube-system"
_POOL, _SERVICE = "examples/addresspool.yaml", "examples/service.yaml"
_AGENT = "daemonset/heraldlb-agent"
_EVENTS: Final = 3
"""One of the assignment, and one of each family's announcement."""


@dataclass(slots=True)
class Tour:
    """Goes through the demo in a lab that is up. Raises ShownError at the first thing that does not work."""

    lab: Lab
    terminal: Terminal
    shell: Shell

    def run(self, *, leave_whole: bool) -> None:
        """`leave_whole`: power all nodes on again at the end."""
        self._show_cluster()
        self._install()
        latency = self._create()
        addresses = self._observe()
        self._ask(addresses)
        outages = self._fail_over(addresses, leave_whole=leave_whole)
        self._sum_up(latency, outages)

    def _show_cluster(self) -> None:
        self.terminal.heading("A cluster without any load balancer")
        self.shell.run("kubectl get nodes")
        with self.terminal.waiting("Starting two web servers"):
            self.lab.apply(workloads.web("web"))
            self.lab.wait_for_rollout("deployment/web")
        self.terminal.gap()
        self.shell.run("kubectl get pods -o wide")

    def _install(self) -> None:
        self.terminal.heading("Install Herald")
        self.terminal.remark("Rendered by Helm from charts/heraldlb and applied.")
        with self.terminal.waiting("Installing the chart", reports=True):
            self.lab.install(REPOSITORY / "charts" / "heraldlb", release="heraldlb", namespace=NAMESPACE)
        self.shell.run(f"kubectl -n {NAMESPACE} get pods")

    def _create(self) -> float:
        self.terminal.heading("One pool, one Service")
        self.shell.run(f"cat {_POOL}")
        self.shell.run(f"kubectl apply -f {_POOL}")
        self.terminal.gap()
        self.shell.run(f"cat {_SERVICE}")
        with watching(self.lab, "web") as external_ip:
            self.shell.run(f"kubectl apply -f {_SERVICE}")
            latency = external_ip.result()
        self.terminal.remark(f"It had its EXTERNAL-IP {latency * 1000:.0f} ms after it was created.")
        return latency

    def _observe(self) -> list[str]:
        self.terminal.heading("What Kubernetes says")
        self._await("both addresses to be announced", lambda: len(announcers(self.lab)) == 2)
        about_web = "--field-selector=involvedObject.name=web,involvedObject.kind=Service"
        self._await("the events", lambda: len(self.lab.items("events", about_web)) >= _EVENTS)
        self.shell.run("kubectl get svc web")
        self.terminal.gap()
        self.shell.run("kubectl get addresspools")
        self.terminal.gap()
        self.shell.run("kubectl get serviceaddresses -o wide")
        self.terminal.gap()
        self.shell.run("kubectl describe svc web | sed -n '/^Events/,$p'")
        ingress = self.lab.get("service", "web")["status"]["loadBalancer"]["ingress"]
        return [entry["ip"] for entry in ingress]

    def _ask(self, addresses: list[str]) -> None:
        self.terminal.heading("From another machine on the LAN")
        for address in addresses:
            self.shell.curl(address)
        port = self.lab.get("service", "web")["spec"]["ports"][0]["nodePort"]
        self.terminal.gap()
        self.terminal.remark("The Service's node port, on every node:")
        for node in self.lab.nodes.values():
            self.shell.curl(str(node.ipv4), port)
            self.shell.curl(str(node.ipv6), port)

    def _fail_over(self, addresses: list[str], *, leave_whole: bool) -> list[Outage]:
        outages: list[Outage] = []
        for address in addresses:
            if any(address in outage.silences for outage in outages):
                continue
            if outages:
                self._power_on(outages[-1].node)
            self.terminal.heading(f"The node that announces {address} loses power")
            outages.append(power_off_announcer(self.lab, self.terminal, address, addresses))
            self.terminal.gap()
            self.shell.run("kubectl get serviceaddresses")
            for each in outages[-1].silences:
                self.shell.curl(each)
        if leave_whole:
            self._power_on(outages[-1].node)
        return outages

    def _power_on(self, node: str) -> None:
        with self.terminal.waiting(f"Powering {node} on again"):
            self.lab.power_on(node)
            self.lab.wait_ready([node])
            self.lab.wait_for_rollout(_AGENT, NAMESPACE)
            self.lab.wait_for_rollout("deployment/web")

    def _await(self, what: str, condition: Callable[[], bool]) -> None:
        try:
            with self.terminal.waiting(f"Waiting for {what}"):
                wait_for(what, condition)
        except WaitTimeoutError as error:
            raise ShownError(str(error)) from None

    def _sum_up(self, latency: float, outages: list[Outage]) -> None:
        self.terminal.heading("Measured")
        self.terminal.output(f"EXTERNAL-IP    {latency * 1000:5.0f} ms after the Service was created")
        for outage in outages:
            for address, silence in outage.silences.items():
                self.terminal.output(
                    f"{family(address)} failover  {silence.seconds * 1000:5.0f} ms without an answer"
                    f" after {outage.node} lost power"
                )
