"""A speaker as a process of its own, driven over its standard streams.

`python -m tests.lab.speaker_runner SETTINGS`: SETTINGS is JSON, `node_name`, `key` (hex) and any other setting.
Standard input takes snapshots, a line each: `{"addresses": {ADDRESS: [CANDIDATE]}, "peers": {NAME: [ADDRESS]}}`,
with `"probe": [ADDRESS]` for those to probe first and `"per_client": [ADDRESS]` for those whose clients the
candidates share; standard output gives a line for each change,
`{"change": KIND, ...}`, the node's `Standing` among them. End of input or SIGTERM: a clean leave.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import logging
import signal
import sys
from typing import Any

from heraldlb.speaker import Announceable, Change, Desired, OwnersChanged, Peer, Speaker, SpeakerSettings

STANDING = "standing: %s, was %s"


def _desired(line: str) -> Desired:
    raw = json.loads(line)
    probe, shared = raw.get("probe", ()), raw.get("per_client", ())
    addresses = {ipaddress.ip_address(text): frozenset(names) for text, names in raw["addresses"].items()}
    return Desired(
        addresses={
            a: Announceable(a, candidates=names, per_client=str(a) in shared, probe=str(a) in probe)
            for a, names in addresses.items()
        },
        peers={n: Peer(n, tuple(map(ipaddress.ip_address, ips))) for n, ips in raw["peers"].items()},
    )


def _say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message, default=str) + "\n")
    sys.stdout.flush()


def _on_change(change: Change) -> None:
    fields = {field.name: getattr(change, field.name) for field in dataclasses.fields(change)}
    if isinstance(change, OwnersChanged):
        fields["owners"] = {str(address): owner for address, owner in change.owners.items()}
        fields["macs"] = sorted(change.macs)
    _say(change=type(change).__name__, **fields)


class _Standings(logging.Handler):
    """Tells of the node's standing, of which there is no change, from the log."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == STANDING:
            assert isinstance(record.args, tuple)
            _say(change="Standing", standing=record.args[0])


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger().addHandler(_Standings())
    raw = json.loads(sys.argv[1])
    speaker = Speaker(SpeakerSettings(**{**raw, "key": bytes.fromhex(raw["key"])}), _on_change)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    speaker.start()
    try:
        _say(change="Started")
        for line in sys.stdin:
            speaker.apply(_desired(line))
    finally:
        speaker.close()
        _say(change="Closed", frames=dict(speaker.stats().frames))


if __name__ == "__main__":
    main()
