"""What was written to the API server, by its own count (`apiserver_request_total`). Pure."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

_ROW: Final = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_VERBS: Final = {"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
_ASKED: Final = re.compile(r"reviews$")
"""TokenReview and its like: created to ask a question, never stored."""

Writes = Counter[str]
"""Requests to create, change or delete, by `VERB resource/subresource`: whatever the answer was."""


def parse(metrics: str) -> Writes:
    """From the API server's /metrics."""
    writes: Writes = Counter()
    for labels, count in _ROW.findall(metrics):
        said = dict(_LABEL.findall(labels))
        resource = "/".join(filter(None, (said["resource"], said["subresource"])))
        if said["verb"] in _VERBS and not _ASKED.search(said["resource"]):
            writes[f"{said['verb']} {resource}"] += int(float(count))
    return writes


def of_events(writes: Writes) -> int:
    """Events, of either API group."""
    return _sum(writes, "events")


def of_pools(writes: Writes) -> int:
    """Pools, whoever's they are: a few objects whose status tells of all Services together."""
    return sum(count for what, count in writes.items() if _resource(what).endswith("pools"))


def beside_leases(writes: Writes) -> int:
    """All but the Leases, which are written by the clock and not for a Service."""
    return writes.total() - _sum(writes, "leases")


def _sum(writes: Writes, resource: str) -> int:
    return sum(count for what, count in writes.items() if _resource(what) == resource)


def _resource(what: str) -> str:
    return what.split()[1].partition("/")[0]
