"""What the pages tell people to set, the chart takes."""

from __future__ import annotations

import shlex
from itertools import pairwise

import pytest

from tests.chart.conftest import rendered, template
from tools.pages import commands, pages


def documented() -> list[tuple[str, ...]]:
    """The settings of each command on a page that installs or upgrades Herald, or of a part of one."""
    found = {
        tuple(value for option, value in pairwise(shlex.split(command)) if option == "--set")
        for page in pages()
        for command in commands(page.read_text())
        if "--set " in command and "cilium/cilium" not in command
    }
    return sorted(found)


@pytest.mark.parametrize("settings", documented(), ids=" ".join)
def test_settings_of_the_pages_are_taken(settings: tuple[str, ...]) -> None:
    assert rendered(*settings)[0]


def test_agents_that_wait_to_be_replaced_by_hand_are_told_so_as_the_page_says() -> None:
    (settings,) = (each for each in documented() if "agent.updateStrategy.type=OnDelete" in each)
    agent = rendered(*settings)[0]["DaemonSet", "heraldlb-agent"]
    assert agent["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert "rollingUpdate" in template("agent.updateStrategy.type=OnDelete").stdout, (
        "the page unsets it for a reason"
    )
