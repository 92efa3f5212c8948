"""How long a client waits for an ARP reply: of the kernel, of a bare responder, and of a speaker with one address
or a thousand.

Each has a wire of its own to the client, so that no question keeps another than the one that is asked busy.
"""

from __future__ import annotations

import json
import random
import secrets
import socket
import struct
import time
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final

from benchmarks.percentiles import percentile
from benchmarks.rows import Row
from benchmarks.speaker.frames import Asker
from benchmarks.speaker.site import Site
from lab.addressing import CLIENT
from lab.network import ip
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.processes import Process
    from lab.progress import Progress

KERNEL, BARE, ONE, THOUSAND = "kernel", "bare", "one", "thousand"
SUBJECTS: Final = (KERNEL, BARE, ONE, THOUSAND)
IDLE, FLOODED = "idle", "flooded"
FLOOD_RATE: Final = 20_000
"""Frames per second."""
_COUNTS: Final = {KERNEL: 1, BARE: 1, ONE: 1, THOUSAND: 1_000}
_ROUNDS: Final = 20
"""In which the subjects take turns, so that what disturbs the machine for a while disturbs all of them."""
_QUESTIONS: Final = 150
"""To each subject in each round."""
_REST: Final = 0.0005
"""Seconds between two questions: who answers has gone to sleep by then."""
GIVEN_UP: Final = 1.0
"""Seconds; a question that is not answered counts as so long."""
_LOOK_EVERY: Final = 5.0
"""Seconds between two looks at a speaker's counters; as seldom as metrics are read."""
SETTLING: Final = 6.0
"""Seconds after which a speaker has told all of its addresses, and repeated it."""
_ARP: Final = 0x0806
_PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Latencies:
    """In seconds, of every question, by subject."""

    idle: Mapping[str, list[float]]
    flooded: Mapping[str, list[float]] = field(default_factory=dict)


def addresses(subject: str) -> list[str]:
    """Those a subject answers for; its wire's prefix is 10.N.0.0/16."""
    network = f"10.{50 + SUBJECTS.index(subject)}"
    return [f"{network}.{1 + number // 250}.{1 + number % 250}" for number in range(_COUNTS[subject])]


class Rig(Site):
    """The client and its wires. The interface to a subject bears its name. Entering it raises LabError."""

    def __init__(self, subjects: Sequence[str] = SUBJECTS, settling: float = SETTLING) -> None:
        """`settling`: seconds that speakers are left alone in first."""
        super().__init__()
        self._settling = settling
        self.subjects = tuple(subjects)
        self._questions: dict[str, list[bytes]] = {}

    def build(self) -> None:
        for host in (CLIENT, *self.subjects):
            ip([f"netns add {self.network.namespace(host)}"])
        for subject in self.subjects:
            self._connect(subject)
        for subject in self.subjects:
            self._questions[subject] = [self._asker(subject).question(each) for each in addresses(subject)]
            with self._wire(subject) as wire:
                wait_for(f"{subject} to answer", partial(self._answers, wire, subject), _PATIENCE)
        time.sleep(self._settling)

    def flood(self, subject: str) -> Process:
        """Begin on its wire; the caller ends it."""
        process = self.start(f"flood-{subject}", CLIENT, "benchmarks.speaker.flood", subject, str(FLOOD_RATE))
        log = self.log(f"flood-{subject}")
        wait_for("the flood to begin", lambda: log.exists() and "flooding" in log.read_text(), _PATIENCE)
        return process

    def measure(self, subject: str, questions: int) -> list[float]:
        """Ask so many, one after another, for addresses at random; how many seconds each took."""
        chance = random.Random(questions)  # noqa: S311 - reproducible on purpose
        asked = chance.choices(self._questions[subject], k=questions)
        with self._wire(subject) as wire:
            return [_ask(wire, question) for question in asked]

    def _connect(self, subject: str) -> None:
        client, there = self.network.path(CLIENT), self.network.path(subject)
        number = SUBJECTS.index(subject)
        mac, own = f"02:4c:41:54:00:{number:02x}", f"10.{50 + number}"
        namespace = self.network.namespace(subject)
        ip([f"link add {subject} type veth peer name eth0 address {mac} netns {namespace}"], client)
        ip([f"link set {subject} up"], client)
        # What the kernel itself is to answer for is an address of its own.
        kernels = addresses(subject) if subject == KERNEL else [f"{own}.0.1"]
        ip(["link set lo up", "link set eth0 up", *(f"address add {each}/16 dev eth0" for each in kernels)], there)
        if subject == BARE:
            self.start(subject, subject, "benchmarks.speaker.bare", mac, *addresses(subject))
        elif subject != KERNEL:
            wanted = {address: [subject] for address in addresses(subject)}
            about: dict[str, Any] = {
                "name": subject,
                "key": secrets.token_hex(32),
                "addresses": wanted,
                "peers": {},
            }
            about["look_every"] = _LOOK_EVERY
            self.start(subject, subject, "benchmarks.speaker.node", json.dumps(about))

    def _asker(self, subject: str) -> Asker:
        mac = self.call(CLIENT, lambda: _hardware_address(subject))
        return Asker(mac, IPv4Address(f"10.{50 + SUBJECTS.index(subject)}.0.2"), IPv6Address("fe80::2"))

    def _wire(self, subject: str) -> socket.socket:
        opened = self.call(CLIENT, partial(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0))
        opened.bind((subject, _ARP))
        # The kernel's own patience: with Python's, every reply would cost another call.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", int(GIVEN_UP), 0))
        return opened

    def _answers(self, wire: socket.socket, subject: str) -> bool:
        """For its last address, and so for all: a speaker takes them in order."""
        return _ask(wire, self._questions[subject][-1]) < GIVEN_UP


def _hardware_address(interface: str) -> bytes:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as opened:
        opened.bind((interface, 0))
        return bytes(opened.getsockname()[4])


def _ask(wire: socket.socket, question: bytes) -> float:
    """Seconds until the reply."""
    mac, address = question[6:12], question[38:42]
    time.sleep(_REST)
    begun = time.perf_counter()
    wire.send(question)
    try:
        while True:
            frame = wire.recv(256)
            now = time.perf_counter()
            if frame[28:32] == address and frame[:6] == mac:
                return now - begun
            if now - begun > GIVEN_UP:
                return GIVEN_UP
    except BlockingIOError:
        return GIVEN_UP


def run(progress: Progress, rounds: int = _ROUNDS) -> Latencies:
    """Raises LabError."""
    with Rig() as rig:
        progress("arp: asking on an idle LAN")
        idle: dict[str, list[float]] = {subject: [] for subject in SUBJECTS}
        for subject in SUBJECTS * rounds:
            idle[subject] += rig.measure(subject, _QUESTIONS)
        progress(f"arp: asking among {FLOOD_RATE:,} other broadcasts a second")
        flooded: dict[str, list[float]] = {subject: [] for subject in SUBJECTS}
        for subject in SUBJECTS:
            flood = rig.flood(subject)
            try:
                flooded[subject] = rig.measure(subject, _QUESTIONS * rounds)
            finally:
                flood.kill()
    return Latencies(idle, flooded)


def rows(found: Latencies) -> list[Row]:
    """Pure. The columns `kernel` and `bare` are what these took in the same run, for one address."""
    conditions = {IDLE: found.idle, FLOODED: found.flooded}
    details, worst = [], 0.0
    for condition, by_subject in conditions.items():
        for subject, count in ((ONE, 1), (THOUSAND, 1_000)):
            for percent in (50, 99):
                value = _us(by_subject[subject], percent)
                others = {name: _us(by_subject[name], percent) for name in (KERNEL, BARE)} if count == 1 else {}
                details.append(Row(f"arp.{condition}_{count}.p{percent}_us", value, "us", peer=others))
                worst = max(worst, value) if percent == 99 else worst
    p50 = {subject: _us(found.idle[subject], 50) for subject in SUBJECTS}
    return [
        Row("arp.p50_us", p50[ONE], "us", peer={name: p50[name] for name in (KERNEL, BARE)}),
        Row("arp.p50_ratio_bare", round(p50[ONE] / p50[BARE], 2), "", 1.5),
        Row("arp.p99_us", worst, "us", 1_000.0),
        Row("arp.p50_ratio_1000_to_1", round(p50[THOUSAND] / p50[ONE], 2), "", 1.2),
        *details,
    ]


def _us(seconds: Sequence[float], percent: float) -> float:
    return round(percentile(seconds, percent) * 1e6, 1)
