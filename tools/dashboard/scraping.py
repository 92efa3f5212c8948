"""How Prometheus is told to scrape Herald, as docs/monitoring.md shows it."""

from __future__ import annotations

from typing import Any, Final

import yaml

from tools.pages import DOCS, blocks

_PAGE: Final = DOCS / "monitoring.md"
_KEY: Final = "scrape_configs"


def documented_job() -> dict[str, Any]:
    """The job of the page's example, which is for clusters without the Prometheus operator."""
    shown = (yaml.safe_load(block.text) for block in blocks(_PAGE.read_text()) if block.kind == "yaml")
    (job,) = (job for body in shown for job in body.get(_KEY, ()))
    return dict(job)
