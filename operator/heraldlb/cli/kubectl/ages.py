"""Times as people read them. Pure."""

from __future__ import annotations

from heraldlb.api.times import parse_time

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def age(when: str, now: float) -> str:
    """How long ago an RFC 3339 time was, as kubectl writes it (`3d4h`, `12m`, `8s`); empty where it is no time."""
    seconds = parse_time(when)
    return lasting(now - seconds) if seconds is not None else ""


def lasting(seconds: float) -> str:
    """A duration with its largest unit, and the next one where the largest is small."""
    left = max(int(seconds), 0)
    for index, (unit, size) in enumerate(_UNITS):
        if left >= size:
            whole, rest = divmod(left, size)
            finer = _UNITS[index + 1] if index + 1 < len(_UNITS) else None
            small = finer is not None and whole < 10 and rest >= finer[1]
            return f"{whole}{unit}" + (f"{rest // finer[1]}{finer[0]}" if small and finer else "")
    return "0s"
