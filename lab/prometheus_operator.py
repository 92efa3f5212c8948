"""The custom resource definitions of the Prometheus operator, to hold a chart's monitors and rules against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from lab import binaries, go_build
from lab.progress import to_stderr

if TYPE_CHECKING:
    from lab.progress import Progress

_MODULE: Final = "github.com/prometheus-operator/prometheus-operator"
_VERSION: Final = "v0.85.0"
_DIGEST: Final = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="
_FOLDER: Final = "example/prometheus-operator-crd"
_KINDS: Final = ("podmonitors", "servicemonitors", "prometheusrules")


def definitions(progress: Progress = to_stderr) -> list[dict[str, Any]]:
    """Those of PodMonitor, ServiceMonitor and PrometheusRule. Raises LabError where they cannot be had."""
    cache = binaries.cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    folder = go_build.source(_MODULE, _VERSION, _DIGEST, cache, progress) / _FOLDER
    return [yaml.safe_load((folder / f"monitoring.coreos.com_{kind}.yaml").read_text()) for kind in _KINDS]
