"""The LAN as the client sees it: questions that Scapy encodes, and every frame that comes, with its time."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self

from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr
from scapy.layers.l2 import ARP, Ether

from lab.waiting import wait_for
from tests.lab.speaker_net import question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from lab.host import Host

INTERFACE = "eth0"
ASK_EVERY = 0.02
"""Seconds between two questions where a gap is measured: its resolution."""
_ROUNDS = 5
"""Questions that are asked also where a busy machine took all the time for the first."""
_LAST_ANSWER = 0.1
"""Seconds in which the answer to the last question comes."""
_NOBODY = {4: "192.168.100.199", 6: "fd00:100::199"}
_EVERY_PROTOCOL = 3
_OCTETS = 2048


@dataclass(frozen=True, slots=True)
class Saying:
    """One frame by which a host says that it has an address."""

    time: float
    mac: str
    announced: bool
    """To everybody and unasked: gratuitous ARP, or an unsolicited neighbour advertisement."""
    to: str
    """The hardware address that the frame is for."""


class Lan:
    """Hears, in a thread, all that reaches the client while it is open."""

    def __init__(self, client: Host) -> None:
        self._client = client
        self._frames: list[tuple[float, bytes]] = []
        self._read_so_far = 0
        self._said: dict[str, list[Saying]] = {}
        self._socket = client.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind((INTERFACE, _EVERY_PROTOCOL))
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._reader.join()
        self._socket.close()

    def _read(self) -> None:
        while not self._closing.is_set():
            if not select.select([self._socket], [], [], 0.1)[0]:
                continue
            frame, about = self._socket.recvfrom(_OCTETS)
            if about[2] != socket.PACKET_OUTGOING and frame[12:14] in (b"\x08\x06", b"\x86\xdd"):
                self._frames.append((time.monotonic(), frame))

    def send(self, *frames: bytes) -> None:
        for frame in frames:
            self._socket.send(frame)

    def ask(self, *addresses: str) -> None:
        """One ARP request or neighbour solicitation for each address."""
        for address in addresses:
            sender = str(self._client.ipv6 if ":" in address else self._client.ipv4)
            self.send(question(address, sender=sender, mac=self._client.mac_address))

    def ask_as(self, mac: str, *addresses: str) -> None:
        """As `ask`, to be answered to this hardware address. In the name of no host of the lab."""
        for address in addresses:
            self.send(question(address, sender=_NOBODY[6 if ":" in address else 4], mac=mac))

    def said(self, address: str, since: float = 0.0) -> list[Saying]:
        """Everything heard by which hosts claim the address, in order; `since` on the monotonic clock."""
        while self._read_so_far < len(self._frames):
            at, octets = self._frames[self._read_so_far]
            self._read_so_far += 1
            frame = Ether(octets)
            if (claim := _claim(frame)) is not None:
                claimed, mac, announced = claim
                self._said.setdefault(claimed, []).append(Saying(at, mac, announced, frame.dst))
        return [each for each in self._said.get(str(ip_address(address)), ()) if each.time >= since]

    def answers(self, address: str, since: float = 0.0) -> list[Saying]:
        return [each for each in self.said(address, since) if not each.announced]

    def announcements(self, address: str, since: float = 0.0) -> list[Saying]:
        return [each for each in self.said(address, since) if each.announced]

    def ask_for(self, seconds: float, *addresses: str) -> dict[str, set[str]]:
        """Ask again and again for so long, and some times at least; the hardware addresses that answered."""
        started, rounds = time.monotonic(), 0
        while rounds < _ROUNDS or time.monotonic() < started + seconds:
            self.ask(*addresses)
            rounds += 1
            time.sleep(ASK_EVERY)
        time.sleep(_LAST_ANSWER)
        return {each: {said.mac for said in self.answers(each, started)} for each in addresses}

    def ask_until(
        self, what: str, condition: Callable[[], bool], addresses: Iterable[str], timeout: float = 60.0
    ) -> None:
        """Ask again and again until the condition holds. Raises WaitTimeoutError."""
        with self.asking(*addresses):
            wait_for(what, condition, timeout)

    @contextmanager
    def asking(self, *addresses: str, every: float = ASK_EVERY, mac: str = "") -> Iterator[None]:
        """Ask again and again for as long as it lasts. `every`: seconds; `mac`: as `ask_as`."""
        over = threading.Event()

        def ask() -> None:
            while not over.wait(every):
                if mac:
                    self.ask_as(mac, *addresses)
                else:
                    self.ask(*addresses)

        asker = threading.Thread(target=ask)
        asker.start()
        try:
            yield
        finally:
            over.set()
            asker.join()

    def await_sole_answerer(
        self, addresses: Iterable[str], among: Iterable[str], timeout: float = 60.0
    ) -> dict[str, str]:
        """Ask until each address is answered by exactly one of these hardware addresses; which. Raises LabError."""
        wanted, allowed = tuple(addresses), set(among)
        last: dict[str, set[str]] = {}

        def settled() -> bool:
            last.update(self.ask_for(0.3, *wanted))
            return all(len(macs) == 1 and macs <= allowed for macs in last.values())

        wait_for(f"one of {sorted(allowed)} alone to answer for each of {wanted}", settled, timeout)
        return {address: next(iter(macs)) for address, macs in last.items()}


def _claim(frame: Any) -> tuple[str, str, bool] | None:
    """By which the sender of a frame says that it has an address: the address, the sender's own, to everybody?"""
    if ARP in frame:
        message = frame[ARP]
        if frame.dst == "ff:ff:ff:ff:ff:ff":
            return (message.psrc, message.hwsrc, True) if message.psrc == message.pdst else None
        return (message.psrc, message.hwsrc, False) if message.op == 2 else None
    if ICMPv6ND_NA in frame and ICMPv6NDOptDstLLAddr in frame:
        message = frame[ICMPv6ND_NA]
        return str(ip_address(message.tgt)), frame[ICMPv6NDOptDstLLAddr].lladdr, not message.S
    return None
