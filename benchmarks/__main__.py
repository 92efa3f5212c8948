"""Measures Herald in the lab. Without a name, lists what can be measured."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.context import Context
from benchmarks.peers import Peer, PeerError, beside
from benchmarks.registry import BENCHMARKS
from benchmarks.rows import Row, table
from lab.errors import LabError
from lab.progress import to_stderr


def _measure(name: str, peers: list[Peer], json_file: Path | None) -> None:
    """Raises LabError; PeerError after the own rows are told."""
    context, facts = Context(progress=to_stderr), machine.facts()
    benchmark = BENCHMARKS[name]
    rows = benchmark.run(context)
    failure: PeerError | None = None
    for peer in peers:
        to_stderr(f"Measuring {peer.name} ...")
        try:
            rows = beside(rows, peer.name, benchmark.measure_peer(peer, context, rows))
        except PeerError as error:
            failure = failure or error
    print(table(rows))
    print("\n" + ", ".join(f"{key} {value}" for key, value in facts.items()))
    if json_file is not None:
        _store(json_file, name, facts, rows, context.samples)
    if failure is not None:
        raise failure


def _store(file: Path, name: str, facts: dict[str, Any], rows: list[Row], samples: dict[str, list[Any]]) -> None:
    about = {"benchmark": name, "machine": facts}
    file.write_text(json.dumps({**about, "rows": [row.as_json() for row in rows]}, indent=2) + "\n")
    file.with_suffix(".samples.json").write_text(json.dumps({**about, "samples": samples}) + "\n")


def _peer(text: str) -> Peer:
    try:
        return Peer.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=sorted(BENCHMARKS))
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the rows there, raw samples beside it"
    )
    parser.add_argument("--peer", type=_peer, action="append", default=[], metavar="NAME=COMMAND", dest="peers")
    arguments = parser.parse_args()
    if arguments.name is None:
        for name, benchmark in sorted(BENCHMARKS.items()):
            print(f"{name:<20} {benchmark.description}")
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        _measure(arguments.name, arguments.peers, arguments.json)
    except (LabError, PeerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
