"""One trial by hand, while working on the controller: `python -m benchmarks.allocate herald 1000`. Prints JSON."""

from __future__ import annotations

import argparse
import json
import shlex
import sys

from benchmarks.allocate import trial
from benchmarks.allocate.contestants import Bare, Contestant, Herald, Other
from benchmarks.percentiles import percentile
from lab import binaries
from lab.errors import LabError
from lab.progress import to_stderr


def _contestant(said: str, concurrency: int) -> Contestant:
    match said:
        case "herald":
            return Herald()
        case "bare":
            return Bare(concurrency)
        case _:
            return Other("the peer", tuple(shlex.split(said)), binaries.find("kubectl"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.allocate", description=__doc__)
    parser.add_argument("contestant", help="herald, bare, or a peer's command")
    parser.add_argument("services", type=int, nargs="?", default=1000, help="how many wait (default: 1000)")
    parser.add_argument("--steady", action="store_true", help="also measure the steady state")
    parser.add_argument("--concurrency", type=int, default=32, help="of bare (default: 32)")
    arguments = parser.parse_args()
    try:
        result = trial.run(
            _contestant(arguments.contestant, arguments.concurrency),
            arguments.services,
            to_stderr,
            steady=arguments.steady,
        )
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    summary = result.as_json()
    if latencies := summary.pop("steady_s"):
        summary |= {f"steady_p{percent}_s": percentile(latencies, percent) for percent in (50, 99)}
    print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
