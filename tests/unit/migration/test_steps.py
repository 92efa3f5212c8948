from __future__ import annotations

from pathlib import Path

import pytest

from heraldlb.migration.convert import Origin
from heraldlb.migration.steps import steps

PAGE = Path(__file__).parents[3] / "docs" / "migrate.md"
HEADINGS = {Origin.METALLB: "MetalLB", Origin.CILIUM: "Cilium", Origin.KUBE_VIP: "kube-vip"}
LOOKING = "kubectl get"
"""How commands begin that the page leaves to its reader."""


def commands_on_the_page(heading: str) -> list[str]:
    """Of the block below that heading, but for the first, `migrate` itself."""
    chapter = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    first, *commands = chapter.split("```")[1].strip().splitlines()
    assert first == "kubectl herald migrate --to herald.yaml"
    return commands


@pytest.mark.parametrize("origin", Origin)
def test_the_page_has_the_commands_that_are_printed_in_the_same_order(origin: Origin) -> None:
    printed = [command for step in steps([origin]) for command in step.commands]
    until_it_works = printed[: printed.index("kubectl get serviceaddresses")]
    changing = [command for command in until_it_works if not command.startswith(LOOKING)]
    assert commands_on_the_page(HEADINGS[origin]) == changing


@pytest.mark.parametrize("origin", Origin)
def test_the_former_announcer_has_ended_before_herald_announces(origin: Origin) -> None:
    """Herald takes an address that somebody answers for as taken, and gives the Service another."""
    [change] = [step.commands for step in steps([origin]) if "agent.roles={speaker" in step.commands[-1]]
    *ending, announce = change
    assert announce.startswith("helm upgrade herald ")
    assert any("--cascade=foreground" in each or "rollout status" in each for each in ending)
