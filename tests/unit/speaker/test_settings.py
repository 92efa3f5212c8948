"""Settings that cannot work are refused with the name of the setting."""

from __future__ import annotations

from typing import Any

import pytest

from heraldlb.speaker.settings import SpeakerSettings

VALID: dict[str, Any] = {"node_name": "a", "key": b"k" * 16}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("node_name", ""),
        ("node_name", "a" * 254),
        ("key", b"short"),
        ("membership_port", 0),
        ("membership_port", 65_536),
        ("failure_timeout", 0.1),
    ],
)
def test_a_setting_that_cannot_work_is_named(field: str, value: object) -> None:
    SpeakerSettings(**VALID)
    with pytest.raises(ValueError, match=f"^{field}: "):
        SpeakerSettings(**{**VALID, field: value})


def test_keys_can_be_rotated_through_a_function() -> None:
    keys = (b"new" * 8, b"old" * 8)
    assert SpeakerSettings("a", lambda: keys).keys() == keys
    assert SpeakerSettings(**VALID).keys() == (VALID["key"],)


def test_a_node_fences_itself_before_its_peers_give_it_up() -> None:
    settings = SpeakerSettings(**VALID, heartbeat_interval=0.05, failure_timeout=0.3)
    assert settings.heartbeat_interval < settings.fence_after < settings.failure_timeout < settings.grace
