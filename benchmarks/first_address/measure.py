"""The benchmark's frame: the lab, what runs in it, and the rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.percentiles import percentile
from benchmarks.rows import Row
from lab import workloads
from lab.addressing import API_PORT, CONTROL_PLANE
from lab.errors import LabError
from lab.lab import Lab

if TYPE_CHECKING:
    from benchmarks.context import Context

_REPOSITORY: Final = Path(__file__).parents[2]
_SERVICES: Final = 100
_NODES: Final = 3
_REPORT_EVERY: Final = 20
_POOL: Final = {
    "apiVersion": "heraldlb.io/v1beta1",
    "kind": "AddressPool",
    "metadata": {"name": "lan"},
    "spec": {"addresses": ["192.168.100.20-192.168.100.199"]},
}
_TARGETS: Final = {
    ("first_address", 50): 40.0,
    ("first_address", 99): 150.0,
    ("first_answer", 50): 150.0,
    ("first_answer", 99): 400.0,
}
"""Milliseconds."""

Sample = dict[str, Any]


def run(context: Context) -> list[Row]:
    """From a Service's creation to its EXTERNAL-IP, and to the first answer on it.

    100 IPv4 Services, one after another and all of them kept, as in a cluster that fills up: each gets an address
    that no neighbour has asked for before. Raises LabError.
    """
    with Lab(_NODES, progress=context.progress) as lab:
        lab.apply(workloads.web("web"))
        lab.wait_for_rollout("deployment/web")
        bare = _measure(lab, context, "without Herald", "--bare")
        lab.install(_REPOSITORY / "charts" / "heraldlb")
        lab.apply(_POOL)
        lab.wait_until("addresspool/lan", "condition=Ready")
        samples = _measure(lab, context, "with Herald")
    context.samples["bare"], context.samples["herald"] = bare, samples
    return [
        Row(
            name=f"{what}.p{percent}_ms",
            value=_percentile(samples, what, percent),
            unit="ms",
            target=target,
            peer={"bare": _percentile(bare, what, percent)} if what in bare[0] else {},
        )
        for (what, percent), target in _TARGETS.items()
    ]


def _percentile(samples: list[Sample], what: str, percent: float) -> float:
    return round(percentile([sample[what] for sample in samples], percent) * 1000, 2)


def _measure(lab: Lab, context: Context, title: str, *options: str) -> list[Sample]:
    """Have the client host create the Services. Raises LabError with what it said."""
    arguments = [
        f"--api-server=https://{lab.hosts[CONTROL_PLANE].ipv4}:{API_PORT}",
        f"--authority={lab.folder / 'pki' / 'ca.crt'}",
        f"--identity={lab.folder / 'pki' / 'probe.pem'}",
        f"--services={_SERVICES}",
        *options,
    ]
    argv = [sys.executable, "-m", "benchmarks.first_address.client", *arguments]
    samples: list[Sample] = []
    with lab.client.popen(argv, cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                samples.append(json.loads(line))
                if len(samples) % _REPORT_EVERY == 0:
                    context.progress(f"{len(samples)} of {_SERVICES} Services {title}")
        finally:
            process.terminate()
    if len(samples) != _SERVICES:
        raise LabError(f"the client ended with {process.returncode} after {len(samples)} of {_SERVICES} Services")
    return samples
