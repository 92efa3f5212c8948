"""The controller's decisions about all Services, taken as it takes them: everything held is entered first, then
each Service is visited, the oldest first, and whoever a visit could help is visited again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from heraldlb.allocation.allocator import Outcome
from heraldlb.allocation.requests import Request
from heraldlb.api.addresspool import AddressPool
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.controller.adoption import adopt, owned, request_in
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.cluster import Cluster
from heraldlb.controller.settings import ControllerSettings


class Forecast:
    """What a controller that starts on a copy of the cluster would come to, and then, once the pools are others."""

    def __init__(self, cluster: Cluster, settings: ControllerSettings, pools: Iterable[AddressPool], now: float):
        """Adopts and decides with these pools, whatever the cluster has. `now`: Unix seconds."""
        self.assignments = Assignments()
        self.outcomes: dict[NamespacedName, Outcome] = {}
        """What each Service is told."""
        self._now = now
        self._requests: Mapping[NamespacedName, Request] = {
            service.id: request_in(cluster, service, settings)
            for service in cluster.services.values()
            if owned(service, settings)
        }
        self.assignments.replace_pools(pools)
        services, _ = adopt(self.assignments, cluster, settings, now)
        self._visit(services)

    def replace_pools(self, pools: Iterable[AddressPool]) -> None:
        """The pools are edited: those whose address is concerned are visited, and those that wait."""
        moved = self.assignments.replace_pools(pools)
        ended = self.assignments.expire(self._now)
        self._visit([*moved, *ended.helped, *self.assignments.waiting()])

    def held(self, service: NamespacedName) -> tuple[IPAddress, ...]:
        """The addresses of a Service, IPv4 first."""
        request = self._requests.get(service)
        return self.assignments.ledger.held_by(request.uid) if request is not None else ()

    def _visit(self, services: Iterable[NamespacedName]) -> None:
        queued = set(services)
        queue = [(self._urgency(each), each) for each in queued]
        heapq.heapify(queue)
        while queue:
            _, service = heapq.heappop(queue)
            queued.discard(service)
            for helped in self._decide(service):
                if helped not in queued:
                    queued.add(helped)
                    heapq.heappush(queue, (self._urgency(helped), helped))
        # Why somebody waits may have changed with every address that others got since.
        for service in self.assignments.waiting():
            self._decide(service)

    def _urgency(self, service: NamespacedName) -> tuple[int, str, NamespacedName]:
        """What frees addresses first, then the oldest Service."""
        request = self._requests.get(service)
        return (0, "", service) if request is None else (1, *request.age)

    def _decide(self, service: NamespacedName) -> list[NamespacedName]:
        """Visit one Service. Returns whom that could help."""
        request = self._requests.get(service)
        helped: list[NamespacedName] = []
        current = "" if request is None else request.uid
        for uid in self.assignments.ledger.uids(service):
            if uid != current:
                former = self.assignments.ledger.held_by(uid)
                helped += self.assignments.leave(uid, former, self._now)
        if request is None:
            return helped
        decision = self.assignments.decide(request)
        self.outcomes[service] = decision.outcome
        helped += decision.helped
        could_help = any(map(self._is_of_use, decision.leaving))
        waiting = self.assignments.leave(request.uid, decision.leaving, self._now, moved=True)
        return helped + waiting if could_help else helped

    def _is_of_use(self, address: IPAddress) -> bool:
        """Whether somebody who waits could be served when the address comes free.

        Not if no pool has it any more: when a pool goes, thousands would be asked anew for each of thousands.
        """
        book = self.assignments.book
        former = book.get(self.assignments.ledger.pool_of(address))
        return book.owner(address) is not None or (former is not None and former.pool.max_per_namespace is not None)
