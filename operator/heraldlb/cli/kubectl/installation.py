"""Herald itself in the cluster: its pods, what they were told, and who of the controllers acts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from typing import Final

from heraldlb.api.conditions import is_true
from heraldlb.api.group import LOAD_BALANCER_CLASS
from heraldlb.api.objects import NamespacedName, Raw, entries, identity, mapping, number, sequence, text
from heraldlb.api.times import parse_time
from heraldlb.cli.kubectl.snapshot import Snapshot
from heraldlb.controller.settings import ControllerSettings

COMPONENT_LABEL: Final = "app.kubernetes.io/component"
_PREFIX: Final = "HERALD_"
"""Of the environment variables of both processes: that of `--log-level` is HERALD_LOG_LEVEL."""

CLOCK_MARGIN: Final = 30.0
"""Seconds by which this machine's clock may differ from the cluster's before a Lease is wrongly called expired."""


class Component(StrEnum):
    """What a pod of Herald does, as its label says."""

    CONTROLLER = "controller"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Instance:
    """One pod of Herald."""

    pod: NamespacedName
    component: Component
    node: str
    version: str
    ready: bool
    trouble: str
    """Why it does not run, as far as the kubelet says; empty: it runs, or there is no word."""
    restarts: int
    started: str
    """RFC 3339."""
    metrics_port: int
    """0: it serves no metrics."""
    _told: Mapping[str, str] = field(default_factory=dict)

    def is_told(self, variable: str) -> bool:
        """Whether a switch, named by its environment variable, was set."""
        return self._told.get(variable, "").lower() in ("true", "1", "yes", "on", "t", "y")

    def setting(self, variable: str, default: str) -> str:
        """What it was told of a setting, named by its environment variable."""
        return self._told.get(variable) or default


@dataclass(frozen=True, slots=True)
class Leadership:
    """The Lease that decides which controller acts."""

    holder: str
    """The name of the pod that acts; empty: nobody does."""
    since: str
    """RFC 3339: when it took over."""
    expired: bool
    """It was not renewed for much longer than it lasts, by this machine's clock."""


@dataclass(frozen=True, slots=True)
class Installation:
    """All of Herald. Pods that are ending are left out."""

    controllers: tuple[Instance, ...] = ()
    agents: tuple[Instance, ...] = ()
    leadership: Leadership | None = None
    """None: there is no Lease, or it could not be read."""

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version that runs; more than one during an upgrade, or after half of one."""
        return tuple(sorted({each.version for each in (*self.controllers, *self.agents)}))

    @property
    def controller_settings(self) -> ControllerSettings:
        """What the controllers were told, or by default would have been."""
        if not self.controllers:
            return ControllerSettings()
        one = self.controllers[0]
        return ControllerSettings(
            load_balancer_class=one.setting("HERALD_LOAD_BALANCER_CLASS", LOAD_BALANCER_CLASS),
            default_class=one.is_told("HERALD_DEFAULT_CLASS") or not one.setting("HERALD_DEFAULT_CLASS", ""),
            annotation_aliases=one.is_told("HERALD_ANNOTATION_ALIASES")
            or not one.setting("HERALD_ANNOTATION_ALIASES", ""),
        )

    @property
    def ignores_exclude_label(self) -> bool:
        """Whether agents announce from nodes with that label, too."""
        return any(agent.is_told("HERALD_IGNORE_EXCLUDE_LABEL") for agent in self.agents)

    @property
    def ignores_cordon(self) -> bool:
        """Whether agents announce from cordoned nodes, too."""
        return any(agent.is_told("HERALD_IGNORE_CORDON") for agent in self.agents)

    def agent_on(self, node: str) -> Instance | None:
        """The agent of that node; of several, as during an upgrade, one that is ready."""
        there = [agent for agent in self.agents if agent.node == node]
        return next((agent for agent in there if agent.ready), there[0] if there else None)


def installation(snapshot: Snapshot) -> Installation:
    """Herald as a snapshot with `pods` and `leases` shows it."""
    ours = [pod for pod in snapshot.pods if _is_ours(pod) and not text(pod, "metadata", "deletionTimestamp")]
    instances = sorted((_instance(pod) for pod in ours), key=lambda each: (each.node, each.pod))
    controllers = tuple(each for each in instances if each.component is Component.CONTROLLER)
    return Installation(
        controllers=controllers,
        agents=tuple(each for each in instances if each.component is Component.AGENT),
        leadership=_leadership(snapshot.leases, controllers, snapshot.now),
    )


def lease_names(pods: Iterable[Raw]) -> set[str]:
    """The names of the Leases of these pods' controllers, as they were told."""
    ours = [_instance(pod) for pod in pods if _is_ours(pod)]
    return {name for each in ours if (name := each.setting("HERALD_LEASE_NAME", ""))}


def _is_ours(pod: Raw) -> bool:
    """Names and most labels are the user's choice; by which variables the container is told is not."""
    return any(name.startswith(_PREFIX) for name in _environment(_container(pod)))


def _container(pod: Raw) -> Raw:
    """The one that is named after what it does; empty where there is none."""
    component = text(pod, "metadata", "labels", COMPONENT_LABEL)
    if component not in set(Component):
        return {}
    return next((each for each in entries(pod, "spec", "containers") if text(each, "name") == component), {})


def _environment(container: Raw) -> dict[str, str]:
    return {text(each, "name"): text(each, "value") for each in entries(container, "env")}


def _told(container: Raw) -> dict[str, str]:
    """What a container is told, by environment variable: arguments count as theirs, and come before them."""
    told = _environment(container)
    arguments = [str(each) for each in sequence(container, "args")]
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        if argument.startswith("--"):
            option, equals, value = argument.removeprefix("--").partition("=")
            name = _PREFIX + option.removeprefix("no-").replace("-", "_").upper()
            switched = "false" if option.startswith("no-") else "true"
            told[name] = value if equals else following if following and following[0] != "-" else switched
    return told


def _instance(pod: Raw) -> Instance:
    labels = mapping(pod, "metadata", "labels")
    component = Component(text(labels, COMPONENT_LABEL))
    container = _container(pod)
    states = entries(pod, "status", "containerStatuses")
    return Instance(
        pod=identity(pod),
        component=component,
        node=text(pod, "spec", "nodeName"),
        version=text(labels, "app.kubernetes.io/version"),
        ready=is_true(entries(pod, "status", "conditions"), "Ready"),
        trouble=_trouble(pod, states),
        restarts=sum(number(state, "restartCount") for state in states),
        started=text(pod, "status", "startTime"),
        metrics_port=next(
            (
                number(port, "containerPort")
                for port in entries(container, "ports")
                if text(port, "name") == "metrics"
            ),
            0,
        ),
        _told=_told(container),
    )


def _trouble(pod: Raw, states: Iterable[Raw]) -> str:
    for state in states:
        waiting = mapping(state, "state", "waiting")
        if reason := text(waiting, "reason"):
            return ": ".join(filter(None, (reason, text(waiting, "message"))))
    for condition in entries(pod, "status", "conditions"):
        if text(condition, "type") == "PodScheduled" and text(condition, "status") == "False":
            return ": ".join(filter(None, (text(condition, "reason"), text(condition, "message"))))
    return text(pod, "status", "reason")


def _leadership(leases: Iterable[Raw], controllers: Iterable[Instance], now: float) -> Leadership | None:
    wanted = {each.pod.namespace for each in controllers}
    for lease in leases:
        if wanted and identity(lease).namespace not in wanted:
            continue
        spec = mapping(lease, "spec")
        renewed = parse_time(text(spec, "renewTime")) or 0.0
        return Leadership(
            holder=text(spec, "holderIdentity"),
            since=text(spec, "acquireTime"),
            expired=now - renewed > number(spec, "leaseDurationSeconds") + CLOCK_MARGIN,
        )
    return None
