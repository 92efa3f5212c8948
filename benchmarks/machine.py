"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from typing import Any


def facts() -> dict[str, Any]:
    """Cores this process may use, memory in MiB, kernel, Python, and how busy the machine was before."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": memory,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }
