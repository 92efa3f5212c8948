"""The ways in which a node that announces addresses ceases to, each with its undoing."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.speaker.testbed import speaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.speaker.testbed import Testbed


@dataclass(frozen=True, slots=True)
class Cause:
    """What happens to a node. Both raise LabError."""

    strike: Callable[[Testbed, str], None]
    undo: Callable[[Testbed, str], None]


def _kill_agent(bed: Testbed, node: str) -> None:
    bed.process(speaker(node)).send(signal.SIGKILL)


def _start_agent(bed: Testbed, node: str) -> None:
    bed.process(speaker(node)).wait(10)
    bed.start_speaker(node)


def _stop_agent(bed: Testbed, node: str) -> None:
    bed.process(speaker(node)).send(signal.SIGSTOP)


def _continue_agent(bed: Testbed, node: str) -> None:
    bed.process(speaker(node)).send(signal.SIGCONT)


CAUSES: Final = {
    "power_off": Cause(lambda bed, node: bed.power_off(node), lambda bed, node: bed.boot(node)),
    "link_cut": Cause(lambda bed, node: bed.network.cut_link(node), lambda bed, node: bed.network.heal_link(node)),
    "agent_killed": Cause(_kill_agent, _start_agent),
    "agent_hung": Cause(_stop_agent, _continue_agent),
    "node_frozen": Cause(
        lambda bed, node: bed.signal_all(node, signal.SIGSTOP),
        lambda bed, node: bed.signal_all(node, signal.SIGCONT),
    ),
}
"""By the names that rows have."""
