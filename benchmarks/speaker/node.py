"""A speaker as a process of its own, without an API server: `python -m benchmarks.speaker.node JSON`.

JSON: `name`, `key` (hexadecimal), `addresses`: {ADDRESS: [NODE ...]}, `peers`: {NODE: [ADDRESS ...]}. Says, an
object a line, what it knows of itself whenever that has changed: `time` (of time.monotonic()), `standing`, `alive`
(live peers), `owned` (how many addresses). Looks every `look_every` seconds, if that is given; with many addresses
a look takes long. SIGTERM: leaves in order.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import signal
import sys
import threading
import time
from typing import Any

from heraldlb.speaker import Announceable, Desired, Peer, Speaker, SpeakerSettings

_LOOK_EVERY = 0.02
"""Seconds."""
_SWITCH_INTERVAL = 0.0005
"""Seconds; what the agent sets."""


def _desired(raw: dict[str, Any]) -> Desired:
    addresses = {ipaddress.ip_address(text): frozenset(names) for text, names in raw["addresses"].items()}
    return Desired(
        addresses={a: Announceable(a, candidates=names) for a, names in addresses.items()},
        peers={n: Peer(n, tuple(map(ipaddress.ip_address, ips))) for n, ips in raw["peers"].items()},
    )


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    raw = json.loads(sys.argv[1])
    look_every = raw.get("look_every", _LOOK_EVERY)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    leaving = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leaving.set())
    speaker = Speaker(SpeakerSettings(node_name=raw["name"], key=bytes.fromhex(raw["key"])), lambda _: None)
    speaker.start()
    speaker.apply(_desired(raw))
    last: dict[str, object] = {}
    while not leaving.wait(look_every):
        stats = speaker.stats()
        now = {"standing": stats.standing.name, "alive": stats.alive, "owned": len(stats.addresses)}
        if now != last:
            print(json.dumps({"time": time.monotonic(), **now}), flush=True)
            last = now
    speaker.close()


if __name__ == "__main__":
    main()
