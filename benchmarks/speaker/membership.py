"""What membership costs an agent among a hundred: one real speaker on a host, the other members on another.

    node-1: a speaker, measured ---+--- LAN ---+--- node-2: 99 members with 99 addresses

All exchange the same datagrams as a hundred agents on as many nodes. Processor time is that of the speaker's
thread; octets are those of its link in both directions, Ethernet, IP and UDP headers and ARP included.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.rows import Row
from benchmarks.speaker.site import Site
from lab.addressing import plan
from lab.network import INTERFACE, ip
from lab.waiting import wait_for

if TYPE_CHECKING:
    from benchmarks.context import Context

MEMBERS: Final = 100
SECONDS: Final = 30.0
_SETTLE: Final = 15.0
"""Seconds after which all have been established and nothing of their start is left."""
_PATIENCE: Final = 120.0
"""The crowd alone takes half a minute to start."""
_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the measured speaker, which cost it what it has at hand."""
_SUBJECT: Final = "node-1"
_CROWD: Final = "node-2"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one member."""

    cpu_percent: float
    """Of one core."""
    bytes_per_second: float
    datagrams_per_second: float


class _Hundred(Site):
    def __init__(self, members: int) -> None:
        super().__init__()
        self._hosts = {name: host for name, host in plan(2).items() if name in (_SUBJECT, _CROWD)}
        self._key = secrets.token_hex(32)
        self._addresses = {f"member-{n:03d}": f"10.9.{n // 200}.{n % 200 + 1}" for n in range(members)}
        self._measured, *self._others = self._addresses

    def build(self) -> None:
        self.network.up(self._hosts)
        own, *others = self._addresses.values()
        ip([f"address add {own}/16 dev {INTERFACE}"], self.network.path(_SUBJECT))
        ip([f"address add {each}/16 dev {INTERFACE}" for each in others], self.network.path(_CROWD))
        crowd = {"key": self._key, "addresses": self._addresses, "here": self._others}
        self.start("crowd", _CROWD, "benchmarks.speaker.crowd", json.dumps(crowd))
        peers = {name: [self._addresses[name]] for name in self._others}
        subject: dict[str, Any] = {"name": self._measured, "key": self._key, "addresses": {}, "peers": peers}
        subject["look_every"] = _LOOK_EVERY
        self.start("subject", _SUBJECT, "benchmarks.speaker.node", json.dumps(subject))
        wait_for("all members to know each other", self._is_complete, _PATIENCE)

    def measure(self, seconds: float) -> Cost:
        """Of the subject, over so many seconds."""
        began, cpu, counted = time.monotonic(), self._thread_seconds(), self._counted()
        time.sleep(seconds)
        passed = time.monotonic() - began
        octets, packets = (after - before for before, after in zip(counted, self._counted(), strict=True))
        return Cost((self._thread_seconds() - cpu) / passed * 100, octets / passed, packets / passed)

    def _is_complete(self) -> bool:
        return self._last("crowd").get("complete") == len(self._others) and self._last("subject").get(
            "alive"
        ) == len(self._others)

    def _last(self, name: str) -> dict[str, object]:
        log = self.log(name)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        said = [line for line in lines if line.startswith("{") and line.endswith("}")]
        found: dict[str, object] = json.loads(said[-1]) if said else {}
        return found

    def _thread_seconds(self) -> float:
        """Processor time of all threads but the first, which only looks at the speaker's counters."""
        pid = self.process("subject").pid
        threads = Path(f"/proc/{pid}/task").iterdir()
        return sum(
            int((each / "schedstat").read_text().split()[0]) / 1e9 for each in threads if each.name != str(pid)
        )

    def _counted(self) -> tuple[int, int]:
        """Octets and packets of the subject's link so far."""
        lines = Path(f"/proc/{self.process('subject').pid}/net/dev").read_text().splitlines()
        (line,) = (each for each in lines if each.strip().startswith(f"{INTERFACE}:"))
        numbers = [int(each) for each in line.split(":")[1].split()]
        return numbers[0] + numbers[8], numbers[1] + numbers[9]


def cost(members: int = MEMBERS, seconds: float = SECONDS, settle: float = _SETTLE) -> Cost:
    """What membership costs one of so many. Raises LabError."""
    with _Hundred(members) as hundred:
        time.sleep(settle)
        return hundred.measure(seconds)


def run(context: Context) -> list[Row]:
    """The rows `membership.*`. Raises LabError."""
    context.progress(f"membership: one speaker among {MEMBERS}, {SECONDS:.0f} s")
    found = cost()
    return [
        Row(f"membership.cpu_percent_at_{MEMBERS}", found.cpu_percent, "%", 1.0),
        Row(f"membership.bytes_per_s_at_{MEMBERS}", found.bytes_per_second, "B/s", 20_000.0),
        Row(f"membership.datagrams_per_s_at_{MEMBERS}", found.datagrams_per_second, "1/s"),
    ]
