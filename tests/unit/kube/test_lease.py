from __future__ import annotations

from typing import Any

import pytest

from heraldlb.kube.lease import LeaseSettings, Sighting, may_take


def lease(holder: str, version: str = "1", duration: int = 4) -> dict[str, Any]:
    return {
        "metadata": {"resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": duration},
    }


@pytest.mark.parametrize(
    ("holder", "sighting", "now", "taken"),
    [
        ("", None, 0.0, True),
        ("me", None, 0.0, True),
        ("other", None, 100.0, False),
        ("other", Sighting("other", "1", 100.0), 103.9, False),
        ("other", Sighting("other", "1", 100.0), 104.1, True),
        ("other", Sighting("other", "0", 100.0), 999.0, False),
    ],
)
def test_another_holders_lease_is_taken_only_when_it_was_not_renewed_before_our_eyes(
    holder: str, sighting: Sighting | None, now: float, taken: bool
) -> None:
    assert may_take(lease(holder), "me", sighting, now) is taken


def test_a_holder_stops_before_its_lease_runs_out() -> None:
    settings = LeaseSettings("ns", "name", "me")
    assert settings.period < settings.deadline < settings.duration
    assert settings.duration + 2 * settings.look < 5.0
