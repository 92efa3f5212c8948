"""One part by hand, while working on the speaker.

python -m benchmarks.speaker failover --cause power_off --trials 5
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.by_hand import report
from benchmarks.speaker.causes import CAUSES
from benchmarks.speaker.measure import BY_HAND, Extent, measure


def _arguments() -> argparse.Namespace:
    usual = Extent()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speaker", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("part", choices=BY_HAND)
    parser.add_argument(
        "--cause", choices=tuple(CAUSES), action="append", help="of failover; repeatable; default all"
    )
    parser.add_argument("--trials", type=int, default=usual.trials, help="failures of each cause (%(default)s)")
    parser.add_argument(
        "--partitions", type=int, default=None, help=f"({usual.partitions}; 0 where a cause is named)"
    )
    parser.add_argument(
        "--changes", type=int, default=usual.changes, help="planned changes of each kind (%(default)s)"
    )
    parser.add_argument("--minutes", type=float, default=usual.minutes, help="of stability (%(default)s)")
    parser.add_argument("--samples", type=Path, metavar="FILE", help="write raw measurements there, as JSON")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    partitions = 0 if arguments.cause else Extent().partitions
    extent = Extent(
        trials=arguments.trials,
        causes=arguments.cause or tuple(CAUSES),
        partitions=partitions if arguments.partitions is None else arguments.partitions,
        changes=arguments.changes,
        minutes=arguments.minutes,
    )
    return report(lambda context: measure([arguments.part], extent, context), arguments.samples)


if __name__ == "__main__":
    sys.exit(main())
