"""One trial by hand, while working on the controller: `python -m benchmarks.allocate herald 1000`. Prints JSON."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.allocate import trial
from benchmarks.allocate.contestants import Bare, Herald
from lab.errors import LabError
from lab.progress import to_stderr


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.allocate", description=__doc__)
    parser.add_argument("contestant", choices=["herald", "bare"])
    parser.add_argument("services", type=int, nargs="?", default=1000, help="how many wait (default: 1000)")
    parser.add_argument("--steady", action="store_true", help="also measure the steady state")
    parser.add_argument("--concurrency", type=int, default=32, help="of bare (default: 32)")
    arguments = parser.parse_args()
    contestant = Herald() if arguments.contestant == "herald" else Bare(arguments.concurrency)
    try:
        result = trial.run(contestant, arguments.services, to_stderr, steady=arguments.steady)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result.as_json(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
