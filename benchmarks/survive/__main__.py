"""With fewer connections, while working on what they survive.

python -m benchmarks.survive connections --connections 100 --beside 20
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.by_hand import report
from benchmarks.survive import stand, trials
from benchmarks.survive.measure import PARTS, Extent, measure


def _arguments() -> argparse.Namespace:
    usual = Extent()
    held = usual.connections
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.survive", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("parts", nargs="*", choices=PARTS, default=PARTS, help="by default all")
    parser.add_argument(
        "--connections", type=int, default=held.connections, help="that are to survive (%(default)s)"
    )
    parser.add_argument("--beside", type=int, default=held.beside, help="by each other way (%(default)s)")
    parser.add_argument("--event", choices=tuple(trials.EVENTS), action="append", help="repeatable; default all")
    parser.add_argument("--rounds", type=int, default=usual.rounds, help="of throughput (%(default)s)")
    parser.add_argument("--without-kube-proxy", action="store_true")
    parser.add_argument("--samples", type=Path, metavar="FILE", help="write raw measurements there, as JSON")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    events = [event for event in trials.EVENTS if event in (arguments.event or trials.EVENTS)]
    extent = Extent(
        arguments.parts,
        trials.Extent(arguments.connections, arguments.beside, events),
        arguments.rounds,
        (stand.HERALD,) if arguments.without_kube_proxy else (stand.HERALD, stand.BESIDE_KUBE_PROXY),
    )
    return report(lambda context: measure(extent, context), arguments.samples)


if __name__ == "__main__":
    sys.exit(main())
