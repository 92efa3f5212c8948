"""Trials of the benchmark `allocate`, with a few Services."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.allocate import trial
from benchmarks.allocate.contestants import Bare, Contestant, Herald, Other
from lab.errors import LabError
from lab.progress import silent

_FEW = 5


@pytest.mark.parametrize("contestant", [Herald(), Bare(2)], ids=["Herald", "bare"])
def test_each_service_costs_a_record_and_a_status(contestant: Contestant) -> None:
    result = trial.run(contestant, _FEW, silent)
    assert result.writes["POST serviceaddresses"] == _FEW
    assert result.writes["PATCH services/status"] == _FEW
    assert 0 < result.first_s <= result.last_s


def test_a_controller_that_ends_is_told_with_what_it_said() -> None:
    with pytest.raises(LabError, match=r"ended after 0 of 1 Services.*\n.*no pool for you"):
        trial.run(Other("other", ("sh", "-c", "echo no pool for you; exit 3"), Path("kubectl")), _FEW, silent)


def test_a_controller_that_cannot_be_started_is_told() -> None:
    missing = str(Path(sys.executable).with_name("no-such-controller"))
    with pytest.raises(LabError, match="no-such-controller"):
        trial.run(Other("other", (missing,), Path("kubectl")), _FEW, silent)
