"""The present, as the API writes times."""

from __future__ import annotations

import time

from heraldlb.api.times import written, written_finely


def now() -> str:
    """The present as `metav1.Time`."""
    return written(time.time())


def now_micro() -> str:
    """The present as `metav1.MicroTime`."""
    return written_finely(time.time())
