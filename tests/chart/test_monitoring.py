"""The alerts and the dashboard, held to Prometheus itself and to the metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lab import binaries
from tests.chart.conftest import CHART
from tools.reference.metrics import agent_metrics, common_metrics, controller_metrics, rows

ALERTS = CHART / "files" / "alerts.yaml"
SCENARIOS = Path(__file__).parent / "alerts" / "alerts.test.yaml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((CHART / "dashboards" / "heraldlb.json").read_text())

_NAME = re.compile(r"heraldlb_\w+")


class _Once(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        [binaries.find("promtool"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def scraped() -> set[str]:
    """Every name that an expression may use."""
    names = set()
    for row in rows([*common_metrics(), *controller_metrics(), *agent_metrics()]):
        suffixes = ("_bucket", "_sum", "_count") if row.type == "histogram" else ("",)
        names |= {row.name + suffix for suffix in suffixes}
    return names


def panels() -> Iterator[dict[str, Any]]:
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def test_alerts_fire_when_they_should_and_not_when_all_is_well() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(SCENARIOS))


def test_every_alert_fires_in_some_scenario() -> None:
    assert {rule["alert"] for rule in RULES} <= set(re.findall(r"\bHerald\w+", SCENARIOS.read_text()))


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["description"].endswith(".")


def test_every_alert_has_its_runbook() -> None:
    page = (CHART.parents[1] / "docs" / "monitoring.md").read_text()
    headings = re.findall(r"^### (Herald\w+)$", page, re.MULTILINE)
    assert headings == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["annotations"]["runbook_url"] == f"docs/monitoring.md#{rule['alert'].lower()}"


def test_names_and_help_of_all_metrics_follow_prometheus_conventions() -> None:
    registry = CollectorRegistry()
    for metric in (*common_metrics(), *controller_metrics(), *agent_metrics()):
        registry.register(_Once(metric))
    text = generate_latest(registry)
    assert text.count(b"# TYPE") > 50
    done = subprocess.run(
        [binaries.find("promtool"), "check", "metrics"], input=text, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.decode() + done.stdout.decode()) == (0, "")


def test_alerts_and_panels_use_metrics_that_exist() -> None:
    for expression in (*(rule["expr"] for rule in RULES), *queries()):
        used = set(_NAME.findall(expression))
        assert used
        assert used <= scraped(), expression


def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    records = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries())
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    assert f"{len(records)} rules found" in promtool("check", "rules", str(file))


def test_panels_are_explained_and_none_lies_on_another() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]
    assert all(panel["description"].endswith(".") for panel in panels())
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels()), "the user's own Prometheus"
