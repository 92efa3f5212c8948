"""Whether this node's Services are ours to program, or another proxy's. Pure: time is passed in, in seconds.

Ours win where both program: our chains come first (`frame.DNAT_PRIORITY`), and the first translation of a
connection is the last. So nothing breaks while both do, and there is no haste to step back; what would break is
that nobody does.

- To step back, another proxy must have served for STEADY: a proxy that has just started has programmed a part, and
  one in a crash loop nothing that lasts. A node that has nothing of ours yet has nothing to lose and does not wait.
- To step in, its rules must be gone, or its process for GONE: while it restarts or is upgraded its rules go on
  forwarding. What a proxy that was removed left behind is therefore overridden after GONE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from heraldlb.forwarding.proxies import Sighting

STEADY: Final = 20.0
"""Seconds for which another proxy must have served before ours are removed. kube-proxy takes 15 s to program 10,000
Services, and says in its metrics when it has, where those can be read."""

GONE: Final = 60.0
"""Seconds for which another proxy's process may be away. An upgrade pulls an image and starts it."""


class Mode(StrEnum):
    """What the administrator chose."""

    AUTO = "auto"
    """Forward, unless another service proxy does."""
    FULL = "full"
    """Forward, whoever else does."""
    OFF = "off"
    """Never forward, and leave no rule of an agent that did."""


@dataclass(frozen=True, slots=True)
class Stance:
    """What the node does, and what speaks against it."""

    forwards: bool
    """We program the Services."""
    reason: str
    """In words, without a full stop."""
    proxy: str = ""
    """The proxy that they are left to."""
    doubted: float | None = None
    """Since when the evidence has called for the opposite; None: it does not."""

    @property
    def review(self) -> float | None:
        """When it changes, if the evidence stays as it is."""
        return None if self.doubted is None else self.doubted + (STEADY if self.forwards else GONE)


def judge(former: Stance | None, sightings: Sequence[Sighting], now: float, *, ours: bool) -> Stance:
    """The stance in mode `auto`. `former` is None when the agent has started; `ours`: our rules are in force."""
    if former is None:
        lasting = next((each for each in sightings if each.rules), None)
        former = _forward(sightings) if ours or lasting is None else _leave(lasting)
    serving = next((each for each in sightings if each.serves), None)
    if former.forwards:
        if serving is None:
            return _forward(sightings)
        since = _since(former, now)
        if now - since >= STEADY:
            return _leave(serving)
        return Stance(True, f"{serving.name} does too, and will be left to it after {STEADY:g} s", doubted=since)
    if serving is not None:
        return _leave(serving)
    remains = next((each for each in sightings if each.rules), None)
    if remains is None:
        return _forward(sightings)
    since = _since(former, now)
    if now - since >= GONE:
        return _forward(sightings)
    return Stance(
        False, f"the rules of {remains.name} are in force, though it does not answer", remains.name, since
    )


def chosen(mode: Mode) -> Stance:
    """The stance in the other modes."""
    return Stance(mode is Mode.FULL, f"the mode is {mode}")


def _since(former: Stance, now: float) -> float:
    return now if former.doubted is None else former.doubted


def _leave(proxy: Sighting) -> Stance:
    return Stance(False, f"{proxy.name} forwards them", proxy.name)


def _forward(sightings: Sequence[Sighting]) -> Stance:
    if not sightings:
        return Stance(True, "there is no other service proxy")
    return Stance(True, "; ".join(map(_lack, sightings)))


def _lack(proxy: Sighting) -> str:
    if not proxy.rules:
        return f"{proxy.name} has no rules"
    return f"{proxy.name} does not answer" if not proxy.alive else f"{proxy.name} has yet to program its rules"
