"""A real Prometheus in the lab that scrapes pods and answers queries."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from lab import binaries
from lab.addressing import CONTROL_PLANE
from lab.namespaces import Surroundings
from lab.processes import Register
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lab.host import Host
    from lab.lab import Lab

PORT: Final = 9090

_NAME = "prometheus"
_STOP_PATIENCE = 10.0

Point = tuple[float, float]
"""A time in Unix seconds, and the value then."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer."""

    labels: dict[str, str]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that runs. A query that it cannot answer raises ValueError, with what it says."""

    lab: Lab
    host: Host
    targets: Path

    def find_targets(self) -> None:
        """Discover the pods that there are now, as after Herald was installed or a node has gone."""
        pods = self.lab.items("pods", "--all-namespaces")
        # At once, lest half of it be read.
        unfinished = self.targets.with_suffix(".new")
        unfinished.write_text(json.dumps(discovered(pods)))
        unfinished.replace(self.targets)

    def query(self, expression: str) -> list[Series]:
        """The value of every series now."""
        return [
            Series(each["metric"], (_point(each["value"]),))
            for each in self._ask("query", query=expression)["result"]
        ]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """The values of every series between two times, every `step` seconds."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        found = self._ask("query_range", query=expression, **times)["result"]
        return [Series(each["metric"], tuple(map(_point, each["values"]))) for each in found]

    def rules(self) -> list[dict[str, Any]]:
        """Every alerting rule as it was evaluated last: `name`, `state`, `health`, `lastError`."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            self.host.http_get("127.0.0.1", PORT, "/-/ready")
        except OSError:
            return False
        return True

    def _ask(self, what: str, **parameters: str) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", PORT)
        with self.host.connect("127.0.0.1", PORT) as connection.sock:
            connection.request("GET", f"/api/v1/{what}?{urlencode(parameters)}")
            answer = json.loads(connection.getresponse().read())
        if answer["status"] != "success":
            raise ValueError(answer.get("error", what))
        data: dict[str, Any] = answer["data"]
        return data


@contextmanager
def scraping(
    lab: Lab, job: Mapping[str, Any], interval: float = 1.0, rules: tuple[Path, ...] = ()
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes every `interval` seconds, until the block ends.

    `job` is an entry of `scrape_configs` that discovers pods. Raises LabError, WaitTimeoutError.
    """
    host = lab.hosts[CONTROL_PLANE]
    folder = lab.folder / _NAME
    folder.mkdir(exist_ok=True)
    file = folder / "prometheus.yml"
    prometheus = Prometheus(lab, host, folder / "targets.json")
    prometheus.find_targets()
    file.write_text(json.dumps(configuration(job, prometheus.targets, interval, rules)))
    register = Register(lab.folder)
    command = [
        str(binaries.find(_NAME)),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{PORT}",
    ]
    process = register.start(_NAME, command, Surroundings(network=host.network), folder)
    try:
        wait_for("Prometheus", prometheus.is_ready)
        yield prometheus
    finally:
        process.stop(_STOP_PATIENCE)
        register.remove(_NAME)


def configuration(
    job: Mapping[str, Any], targets: Path, interval: float, rules: tuple[Path, ...]
) -> dict[str, Any]:
    """`targets`: the file that has what `job` would discover. Debian's Prometheus knows no Kubernetes to ask."""
    every = f"{interval * 1000:.0f}ms"
    told = {key: value for key, value in job.items() if key != "kubernetes_sd_configs"}
    return {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [told | {"file_sd_configs": [{"files": [str(targets)]}]}],
    }


def discovered(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What Prometheus' role `pod` discovers in them: each port of a container, with labels to relabel by."""
    found = []
    for pod in pods:
        address = pod["status"].get("podIP")
        labels = {
            "namespace": pod["metadata"]["namespace"],
            "pod_name": pod["metadata"]["name"],
            "pod_ip": address,
            "pod_node_name": pod["spec"].get("nodeName", ""),
            **{f"pod_label_{_as_label(key)}": text for key, text in pod["metadata"].get("labels", {}).items()},
        }
        ports = [port for container in pod["spec"]["containers"] for port in container.get("ports", ())]
        for port in ports if address else ():
            own = labels | {"pod_container_port_name": port.get("name", "")}
            target = f"{address}:{port['containerPort']}"
            meta = {f"__meta_kubernetes_{key}": text for key, text in own.items()}
            found.append({"targets": [target], "labels": meta})
    return found


def _as_label(key: str) -> str:
    return re.sub(r"\W", "_", key)


def _point(pair: tuple[float, str]) -> Point:
    return float(pair[0]), float(pair[1])
