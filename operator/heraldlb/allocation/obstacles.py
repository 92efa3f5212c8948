"""What stands in the way of giving one particular address to a Service."""

from __future__ import annotations

from heraldlb.allocation.book import BookedPool
from heraldlb.allocation.ledger import Holding, Ledger
from heraldlb.allocation.reservations import describe
from heraldlb.allocation.sharing import Blocker, blocker
from heraldlb.api.ranges import IPAddress
from heraldlb.api.reasons import Reason


def obstacle(newcomer: Holding, address: IPAddress, owner: BookedPool, ledger: Ledger) -> Blocker | None:
    """Why `newcomer` may not have the address, which it does not hold, of the pool `owner`; None where it may.

    While somebody holds an address, the rules of sharing alone say who may join, not what is reserved there.
    """
    if (quarantine := ledger.quarantined.get(address)) is not None:
        return Blocker(Reason.ADDRESS_QUARANTINED, str(quarantine))
    if others := ledger.others(address, newcomer.uid):
        return blocker(newcomer, others)
    reservations = ledger.reservations(address)
    if reservations and all(each.service != newcomer.service for each in reservations):
        return Blocker(Reason.ADDRESS_RESERVED, describe(address, reservations, owner))
    return None
