"""What the commands share that measure one part by hand, while it is worked on."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING

from benchmarks.context import Context
from benchmarks.rows import table
from lab.errors import LabError
from lab.progress import to_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.rows import Row


def report(measure: Callable[[Context], Sequence[Row]], samples: Path | None) -> int:
    """Measure, print the table, write raw measurements to `samples` whatever came of it. Returns the exit code."""
    context = Context(progress=to_stderr)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        print(table(measure(context)))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if samples is not None:
            samples.write_text(json.dumps(context.samples, indent=1) + "\n")
    return 0
