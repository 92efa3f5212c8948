"""Keeps the kernel answering ping for the addresses that are announced, or for none where that is switched off."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from heraldlb.agent.keeper import TableKeeper
from heraldlb.api.ranges import IPAddress
from heraldlb.forwarding import ping
from heraldlb.forwarding.nft import Runner

SETTLE = 0.1
"""Seconds for which changes are gathered before they are applied: ping is for people."""


class PingRole:
    """All addresses of the cluster are answered for on every node, so that nothing changes at a failover: what is
    not announced here does not arrive here, but from this node's own pods."""

    def __init__(self, runner: Runner, *, answer: bool) -> None:
        self._answer = answer
        self._keeper: TableKeeper[AbstractSet[IPAddress]] = TableKeeper(
            runner, ping, "ping is not answered as it should be", SETTLE
        )

    def want(self, addresses: AbstractSet[IPAddress]) -> None:
        """Answer for these and no others."""
        self._keeper.want(frozenset(addresses))

    def touched(self) -> None:
        """Somebody else changed our table."""
        self._keeper.touched()

    async def run(self) -> None:
        """Apply what changes, for ever; or remove what an agent with other settings left."""
        await (self._keeper.run() if self._answer else self._keeper.remove())
