"""How soon a new Service has its address, and answers on it."""

from __future__ import annotations

from benchmarks.first_address.measure import run

__all__ = ["run"]
