"""Scraping as the page says, the dashboard and the alerts, on a real Prometheus in the lab."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from lab.prometheus import scraping
from lab.waiting import wait_for
from lab.workloads import service
from tests.lab.herald.product import CHART, PATIENCE
from tools.dashboard.panels import load
from tools.dashboard.scraping import documented_job

if TYPE_CHECKING:
    from lab.prometheus import Prometheus
    from tests.lab.herald.conftest import Shop
    from tests.lab.herald.product import Product


def has_figures(prometheus: Prometheus, query: str) -> bool:
    """Whether something comes of it; a quantile of nothing is no number."""
    return any(isfinite(value) for series in prometheus.query(query) for _, value in series.points)


def scraped(prometheus: Prometheus) -> set[tuple[str, str]]:
    """The pods that are read, and the node that is told of each."""
    return {(series.labels.get("pod", ""), series.labels.get("node", "")) for series in prometheus.query("up == 1")}


def test_as_documented_every_panel_shows_something_and_no_alert_is_in_error(
    herald: Product, shop: Shop, namespace: str
) -> None:
    targets = [(panel.title, target) for panel in load() for target in panel.targets]
    pods = herald.lab.items("pods", "--all-namespaces", "--selector=app.kubernetes.io/name=heraldlb")
    wanted = {(pod["metadata"]["name"], pod["spec"]["nodeName"]) for pod in pods}
    with scraping(herald.lab, documented_job(), rules=(CHART / "files" / "alerts.yaml",)) as prometheus:
        wait_for("Herald's pods, and no others, to be scraped", lambda: scraped(prometheus) == wanted, PATIENCE)
        twice = "count(heraldlb_speaker_serving offset 2s) == " + str(len(herald.lab.nodes))
        wait_for("all agents to be scraped twice", lambda: prometheus.query(twice), PATIENCE)
        herald.run(namespace)
        herald.expose(namespace, "web")
        wishes = {"heraldlb.io/address-pool": "no-such-pool"}
        refused = service("refused", namespace)
        refused["metadata"]["annotations"] = wishes
        herald.lab.apply(refused)
        herald.fetch(shop.doors[0].ipv4)
        for title, target in targets:
            query = target.query("1m")
            wait_for(f'"{title}" to show {query}', lambda query=query: has_figures(prometheus, query), PATIENCE)  # type: ignore[misc]
        wait_for("the rules", lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), PATIENCE)
