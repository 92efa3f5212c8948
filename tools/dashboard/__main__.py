"""`python -m tools.dashboard`: lets a lab live for some minutes, and draws docs/pictures/dashboard.svg."""

from __future__ import annotations

import time
from collections.abc import Iterable

from lab.lab import Lab
from lab.progress import to_stderr
from lab.prometheus import Prometheus, scraping
from tools.dashboard import story
from tools.dashboard.drawing import Line, Span, draw
from tools.dashboard.panels import ROOT, Panel, load
from tools.dashboard.scraping import documented_job

PICTURE = ROOT / "docs" / "pictures" / "dashboard.svg"

SCRAPE, STEP = 2.0, 2.0
"""Seconds between scrapes, and between the points of a line."""

RATE_INTERVAL = "16s"


def answers(prometheus: Prometheus, panels: Iterable[Panel], span: Span) -> dict[str, list[Line]]:
    """What each panel would show, by its title; of stats and bars only the last point counts."""
    found: dict[str, list[Line]] = {}
    for panel in panels:
        found[panel.title] = [
            Line(target.name(series.labels), series.points)
            for target in panel.targets
            for series in prometheus.query_range(target.query(RATE_INTERVAL), span.start, span.end, STEP)
        ]
    return found


def main() -> None:
    panels = load()
    with Lab(nodes=3, progress=to_stderr) as lab:
        story.install(lab)
        with scraping(lab, documented_job(), SCRAPE) as prometheus:
            start = time.time()
            story.live(lab, prometheus)
            span = Span(start, time.time())
            drawn = draw(panels, answers(prometheus, panels, span), span)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(drawn)


if __name__ == "__main__":
    main()
