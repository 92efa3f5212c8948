"""Limits of processor time, with this machine's own cgroups."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from lab.cpu_limit import limited, remove_all, throttled
from lab.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAB = "test-cpu-limit"


@pytest.fixture
def spinner() -> Iterator[Process]:
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as running:
        try:
            process = Process.of(running.pid)
            assert process is not None
            yield process
        finally:
            running.kill()
            remove_all(_LAB)


def _throttled(name: str) -> bool:
    return throttled(_LAB, name) > 0


def test_a_process_that_wants_more_than_its_limit_waits_and_is_free_afterwards(spinner: Process) -> None:
    with limited(_LAB, "one", [spinner], 100):
        for _ in range(1_000):
            if _throttled("one"):
                break
            time.sleep(0.01)
        assert _throttled("one")
    with pytest.raises(FileNotFoundError):
        throttled(_LAB, "one")
    assert spinner.is_alive()


def test_limits_that_were_left_behind_are_removed_with_their_lab(spinner: Process) -> None:
    left = limited(_LAB, "left", [spinner], 100)
    left.__enter__()
    remove_all(_LAB)
    with pytest.raises(FileNotFoundError):
        throttled(_LAB, "left")
    assert spinner.is_alive()
