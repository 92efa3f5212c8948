"""What follows the forwarder: told of a plan once its rules are in force."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from heraldlb.api.objects import NamespacedName
from heraldlb.forwarding.model import Plan
from heraldlb.forwarding.node import NodeView


class Follower(Protocol):
    """Is told in the event loop, and must not take long there."""

    def applied(self, plan: Plan, node: NodeView, refused: Collection[NamespacedName]) -> None:
        """The kernel of `node` forwards what `plan` says, but for the Services that were refused."""

    def failed(self) -> None:
        """The kernel does not have the newest plan. It has the one before, and gets the newest in a moment."""

    def repaired(self) -> None:
        """For a moment the kernel did not have the last plan, since somebody else had changed its rules."""
