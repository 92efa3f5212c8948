"""How fast Services reach the kernel and packets pass them, beside kube-proxy in nftables mode."""

from __future__ import annotations

from benchmarks.forward.measure import run

__all__ = ["run"]
