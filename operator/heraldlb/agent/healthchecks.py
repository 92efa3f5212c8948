"""Answers at health-check node ports for the Services that this node forwards."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from heraldlb.agent.cluster import Cluster
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.reasons import Reason
from heraldlb.forwarding.healthcheck import Health, Listener, listeners
from heraldlb.forwarding.healthserver import HealthServer, allow_many_sockets
from heraldlb.forwarding.model import Plan
from heraldlb.forwarding.node import NodeView
from heraldlb.kube.recorder import Happening, Subject

log = logging.getLogger(__name__)

SETTLE = 0.05
"""Seconds for which changes are gathered: load balancers ask every few seconds."""

RETRY = 5.0
"""Seconds before a port that could not be had is tried again."""

_REMEDIES = {
    errno.EADDRINUSE: "another process on the node has the port. Stop that process, which `ss -tlnp` on the node"
    " names, or set externalTrafficPolicy to Cluster and back to Local, upon which the Service gets another port",
    errno.EADDRNOTAVAIL: "the node does not have the address, which its Node object names",
    errno.EMFILE: "the agent has as many files open as it may: raise its limit (RLIMIT_NOFILE)",
}


class HealthCheckRole:
    """Keeps listeners equal to what the applied plan says; follows the forwarder.

    What could not be applied makes every answer 503, since the node may send clients to endpoints that are gone.
    """

    def __init__(
        self,
        cluster: Cluster,
        node_name: str,
        record: Callable[[Happening], None],
        server: HealthServer,
        *,
        retry: float = RETRY,
    ) -> None:
        """`record` takes the Events to write. `retry`, in seconds, is for ports that could not be had."""
        self._cluster = cluster
        self._node_name = node_name
        self._record = record
        self._server = server
        self._retry = retry
        self._plan: Plan | None = None
        self._addresses: tuple[IPAddress, ...] = ()
        self._refused: Collection[NamespacedName] = ()
        self._forwarding = False
        self._told: Mapping[Listener, str] = {}
        self._changed = asyncio.Event()

    def applied(self, plan: Plan, node: NodeView, refused: Collection[NamespacedName]) -> None:
        """See `Follower`."""
        self._plan, self._addresses, self._refused = plan, node.node_port_addresses, refused
        self._forwarding = True
        self._changed.set()

    def failed(self) -> None:
        """See `Follower`."""
        self._forwarding = False
        self._changed.set()

    def repaired(self) -> None:
        """See `Follower`. It was over before a load balancer could have been told."""

    async def run(self) -> None:
        """Follow what is applied, for ever; at the end all listeners are closed."""
        allow_many_sockets()
        try:
            failed: Mapping[Listener, OSError] = {}
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._retry if failed else None):
                        await self._changed.wait()
                await asyncio.sleep(SETTLE)
                self._changed.clear()
                wanted = self._wanted()
                failed = await self._server.serve(wanted)
                self._tell(wanted, failed)
        finally:
            await self._server.serve({})

    def _wanted(self) -> dict[Listener, Health]:
        if self._plan is None:
            return {}
        return listeners(self._plan, self._addresses, forwarding=self._forwarding, refused=self._refused)

    def _tell(self, wanted: Mapping[Listener, Health], failed: Mapping[Listener, OSError]) -> None:
        told = {listener: _why(error) for listener, error in failed.items()}
        for listener, why in told.items():
            service = self._cluster.services.get(wanted[listener].service)
            if self._told.get(listener) == why or service is None:
                continue
            note = (
                f"{self._node_name} does not answer health checks of {service.id} at {listener}"
                f" (spec.healthCheckNodePort): {why}. It is tried again every {self._retry:g} seconds."
            )
            log.warning("%s", note)
            subject = Subject("v1", "Service", service.id, service.uid)
            self._record(Happening(subject, Reason.HEALTH_CHECK_UNAVAILABLE, note, "Listen", warning=True))
        self._told = told


def _why(error: OSError) -> str:
    return _REMEDIES.get(error.errno or 0, error.strerror or str(error))
