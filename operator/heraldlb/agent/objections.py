"""Tells users once what of their wishes cannot be followed, though every node finds it out."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from heraldlb.agent.cluster import Cluster
from heraldlb.api.objects import NamespacedName
from heraldlb.forwarding.model import Objection, Plan
from heraldlb.kube.recorder import Happening, Recorder, Subject
from heraldlb.speaker.rendezvous import favourite

CONSULT: Final = 3.0
"""Seconds before anything is said. An agent that has just started has to hear first who else there is."""


def spokesman(uid: str, node_name: str, alive: AbstractSet[str], ready: AbstractSet[str]) -> str:
    """The node that speaks for all about the object of that uid.

    `alive`: other nodes with an agent, as the speaker hears. Where there is none, as without a speaker, those that
    are `ready` by their Node objects are thought to have one.
    """
    return favourite(uid.encode(), frozenset({node_name, *(alive or ready)}))


class Objections:
    """Gathers objections and writes Events for those about which this node is the one to speak.

    What is objected to still, or again within CONSULT, is not told twice while this agent lives.
    """

    def __init__(self, cluster: Cluster, node_name: str, recorder: Recorder) -> None:
        self._cluster = cluster
        self._node_name = node_name
        self._recorder = recorder
        self._current: dict[Subject, tuple[Objection, ...]] = {}
        self._told: dict[Subject, tuple[Objection, ...]] = {}
        self._changed: set[Subject] = set()
        self._some = asyncio.Event()

    def review(
        self, plan: Plan, touched: Iterable[NamespacedName], nodes: Mapping[NamespacedName, Objection]
    ) -> None:
        """Take what there is to object to in these Services of the plan, and in nodes."""
        for key in touched:
            service, planned = self._cluster.services.get(key), plan.services.get(key)
            if service is not None and planned is not None and (planned.objections or self._current):
                self._take(Subject("v1", "Service", key, service.uid), planned.objections)
        for key, objection in nodes.items():
            self._take(Subject("v1", "Node", key, key.name), (objection,))
        present: dict[str, Container[NamespacedName]] = {"Service": plan.services, "Node": nodes}
        for subject in [each for each in self._current if each.id not in present[each.kind]]:
            self._take(subject, ())

    def _take(self, subject: Subject, objections: tuple[Objection, ...]) -> None:
        if objections == self._current.get(subject, ()):
            return
        if objections:
            self._current[subject] = objections
        else:
            del self._current[subject]
        self._changed.add(subject)
        self._some.set()

    async def run(self) -> None:
        """Tell what is new, for ever."""
        while True:
            await self._some.wait()
            await asyncio.sleep(CONSULT)
            self._some.clear()
            changed, self._changed = self._changed, set()
            ready = {node.name for node in self._cluster.nodes.values() if node.ready}
            for subject in changed:
                told, current = self._told.pop(subject, ()), self._current.get(subject, ())
                if current:
                    self._told[subject] = current
                if spokesman(subject.uid, self._node_name, self._cluster.alive, ready) == self._node_name:
                    self._tell(subject, (objection for objection in current if objection not in told))

    def _tell(self, subject: Subject, objections: Iterable[Objection]) -> None:
        for each in objections:
            self._recorder.record(Happening(subject, each.reason, each.message, "Forward", warning=True))
