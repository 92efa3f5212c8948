"""Powers off the node that announces an address, and tells what a client saw of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from lab.control_plane import NODE_GRACE
from lab.demo.shell import ShownError
from lab.probing import INTERVAL, PATIENCE, asking
from lab.waiting import WaitTimeoutError, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.demo.terminal import Terminal
    from lab.lab import Lab
    from lab.probing import Failures, Prober, Silence

_STEADY: Final = 1.0
"""Seconds without a failed connection that count as normal service."""
_KUBERNETES_GRACE: Final = 50
"""Seconds; kube-controller-manager's default for what the lab sets to NODE_GRACE."""


@dataclass(frozen=True, slots=True)
class Outage:
    """One node's loss of power, as a client saw it."""

    node: str
    silences: dict[str, Silence]
    """Of the addresses that the node announced."""


def family(address: str) -> str:
    return f"IPv{ip_address(address).version}"


def announcers(lab: Lab) -> dict[str, str]:
    """The node that announces each address; without those that no node announces. Raises KubectlError."""
    found = {}
    for record in lab.items("serviceaddresses"):
        status = record.get("status", {})
        conditions = status.get("conditions", ())
        announced = any(each["type"] == "Announced" and each["status"] == "True" for each in conditions)
        if announced:
            found[record["spec"]["address"]] = status["node"]
    return found


def power_off_announcer(lab: Lab, terminal: Terminal, address: str, addresses: Sequence[str]) -> Outage:
    """Power off whoever announces `address` while a client asks all `addresses`; return when all is well again.

    Raises ShownError if an address stays silent.
    """
    with asking(lab.client, addresses) as prober:
        with terminal.waiting("A client asks"):
            _wait_steady(prober)
        at = announcers(lab)
        node = at[address]
        lost = [each for each in addresses if at[each] == node]
        terminal.remark(
            f"A client begins a connection to each address every {INTERVAL * 1000:.0f} ms."
            f" Now {node}, which announces {' and '.join(lost)}, loses power."
        )
        off = time.monotonic()
        lab.power_off(node)
        with terminal.waiting("Waiting for an answer"):
            _wait_answered(prober, addresses, off)
        with terminal.waiting(f"Waiting for Kubernetes to notice that {node} is gone"):
            lab.wait_until(f"node/{node}", "condition=Ready=Unknown")
            _wait_steady(prober)
    silences = {each: silence for each in addresses if (silence := prober.silence(each))}
    later = {
        each: prober.failures(each, max(off, silences[each].over if each in lost else off)) for each in addresses
    }
    for each in addresses:
        _tell(
            terminal, f"{family(each)} {each}", at[each], silences[each] if each in lost else None, later[each], off
        )
    if any(failures.failed for failures in later.values()):
        terminal.remark(
            "For Kubernetes the dead node's pod is an endpoint of the Service until it misses the node's"
            " heartbeats,"
        )
        terminal.remark(
            f"for {NODE_GRACE} s in this lab, {_KUBERNETES_GRACE} s by default. Herald sends it nothing once its"
            " agent falls silent."
        )
    return Outage(node, {each: silences[each] for each in lost})


def _wait_steady(prober: Prober) -> None:
    begun = time.monotonic()

    def steady() -> bool:
        # What has failed by now was begun, at the latest, when the prober's patience began.
        since = time.monotonic() - PATIENCE - _STEADY
        return since > begun - PATIENCE and not any(prober.failures(each, since).failed for each in prober.targets)

    wait_for("connections to be answered without a failure", steady)


def _wait_answered(prober: Prober, addresses: Sequence[str], since: float) -> None:
    for address in addresses:
        try:
            wait_for(f"an answer from {address}", lambda a=address: prober.answered_since(a, since), timeout=20.0)  # type: ignore[misc]
        except WaitTimeoutError as error:
            raise ShownError(str(error)) from None


def _tell(
    terminal: Terminal, name: str, owner: str, silence: Silence | None, failures: Failures, off: float
) -> None:
    if silence is None:
        terminal.remark(f"{name}: announced by {owner} as before.")
    else:
        terminal.remark(f"{name}: no answer for {silence.seconds * 1000:.0f} ms, then by way of another node.")
    if failures.last is not None:
        terminal.remark(
            f"  {failures.failed} of {failures.begun} connections failed,"
            f" the last {failures.last - off:.1f} s after the power."
        )
