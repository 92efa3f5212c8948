"""With fewer Services or changes, while working on the forwarder.

python -m benchmarks.forward --sizes 100,1000
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.by_hand import report
from benchmarks.forward.measure import Extent, measure


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def _arguments() -> argparse.Namespace:
    usual = Extent()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forward", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--sizes", type=_sizes, default=usual.sizes, help="numbers of Services, with commas")
    parser.add_argument(
        "--data-path", type=_sizes, default=None, help="the same, for packets (10 and the greatest of --sizes)"
    )
    parser.add_argument("--changes", type=int, default=usual.changes, help="of one slice (%(default)s)")
    parser.add_argument("--peer-changes", type=int, default=usual.peer_changes, help="kube-proxy's (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=usual.rounds, help="of the data path, on each node (%(default)s)"
    )
    parser.add_argument("--samples", type=Path, metavar="FILE", help="write raw measurements there, as JSON")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    data_path = arguments.data_path if arguments.data_path is not None else (10, *arguments.sizes[-1:])
    extent = Extent(arguments.sizes, data_path, arguments.changes, arguments.peer_changes, arguments.rounds)
    return report(lambda context: measure(extent, context), arguments.samples)


if __name__ == "__main__":
    sys.exit(main())
