"""What runs in the cluster beside Herald, reduced to what tells one load balancer from another. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from heraldlb.api.objects import NamespacedName, Raw, entries, identity, mapping, sequence, text


@dataclass(frozen=True, slots=True)
class Container:
    """One container as it was told to run."""

    image: str
    """Without registry, tag and digest as far as those can be told: `metallb/controller`."""
    arguments: tuple[str, ...] = ()
    """Its command, too."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def option(self, name: str) -> str | None:
        """The value of `--name VALUE` or `--name=VALUE`; empty for a switch; None where it is not given."""
        for position, argument in enumerate(self.arguments):
            given, equals, value = argument.partition("=")
            if given.lstrip("-") == name and given.startswith("-"):
                following = self.arguments[position + 1 : position + 2]
                return value if equals else next((each for each in following if not each.startswith("-")), "")
        return None

    def is_on(self, name: str) -> bool:
        """Whether a switch is given, and not as `false`."""
        given = self.option(name)
        return given is not None and given.lower() != "false"


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, a DaemonSet, or a pod that a node runs by itself."""

    kind: str
    name: NamespacedName
    labels: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def parse_workload(kind: str, raw: Raw) -> Workload:
    """From the JSON of a Deployment, a DaemonSet or a Pod."""
    spec = mapping(raw, "spec") if kind == "Pod" else mapping(raw, "spec", "template", "spec")
    return Workload(
        kind,
        identity(raw),
        mapping(raw, "metadata", "labels"),
        tuple(_container(each) for each in entries(spec, "containers")),
    )


def is_static(pod: Raw) -> bool:
    """Whether a node runs the pod by itself, from a file: no workload of the cluster stands for it."""
    return any(text(owner, "kind") == "Node" for owner in entries(pod, "metadata", "ownerReferences"))


def _container(raw: Raw) -> Container:
    return Container(
        _repository(text(raw, "image")),
        tuple(str(each) for each in (*sequence(raw, "command"), *sequence(raw, "args"))),
        {text(each, "name"): text(each, "value") for each in entries(raw, "env")},
    )


def _repository(image: str) -> str:
    """`quay.io/metallb/controller:v1@sha256:...` is `metallb/controller`."""
    path = image.partition("@")[0]
    first, slash, rest = path.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        path = rest
    head, slash, last = path.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"
