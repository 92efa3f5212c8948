"""The process of a contestant."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.allocate.running import running
from lab.processes import Process
from lab.waiting import wait_for


@pytest.mark.parametrize("end", ["wait", "exit 3"], ids=["which still runs", "which has ended"])
def test_what_a_contestant_has_started_ends_with_it(tmp_path: Path, end: str) -> None:
    with running(
        tmp_path, ["sh", "-c", f"sleep 1000 & echo $! >{tmp_path}/pid; echo started; {end}"]
    ) as contestant:
        wait_for("the contestant to say so", lambda: "started" in contestant.said())
        child = Process.of(int((tmp_path / "pid").read_text()))
        assert child is not None
        assert child.is_alive()
    assert child.wait(5)
    assert not contestant.process.is_alive()
