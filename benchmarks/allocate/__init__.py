"""How fast a controller gives addresses to many Services, held against the API server's own speed."""

from __future__ import annotations

from benchmarks.allocate.measure import measure_peer, run

__all__ = ["measure_peer", "run"]
