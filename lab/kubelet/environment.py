"""A container's environment from its specification. Pure: what it refers to is fetched before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["secrets", "configmaps"]
Source = tuple[Kind, str]
"""A Secret or ConfigMap in the pod's namespace, by resource and name."""

_KINDS: tuple[tuple[str, Kind], ...] = (("secret", "secrets"), ("configMap", "configmaps"))


class ConfigError(Exception):
    """The container cannot be started as specified; the message names the field."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What fieldRefs of a pod resolve to."""

    pod: Mapping[str, Any]
    pod_ips: tuple[str, ...]
    host_ips: tuple[str, ...]

    def field(self, path: str) -> str:
        """The value of a fieldRef's fieldPath. Raises ConfigError for one the lab does not know."""
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        values = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata["namespace"],
            "metadata.uid": metadata["uid"],
            "spec.nodeName": spec["nodeName"],
            "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
            "status.podIP": self.pod_ips[0],
            "status.podIPs": ",".join(self.pod_ips),
            "status.hostIP": self.host_ips[0],
            "status.hostIPs": ",".join(self.host_ips),
        }
        if path in values:
            return str(values[path])
        for name in ("labels", "annotations"):
            if path.startswith(f"metadata.{name}['") and path.endswith("']"):
                return str(metadata.get(name, {}).get(path[len(f"metadata.{name}['") : -2], ""))
        raise ConfigError(f"fieldPath {path!r}: unknown; the lab knows {', '.join(values)}, metadata.labels['KEY']")


def sources(container: Mapping[str, Any]) -> Iterator[Source]:
    """The Secrets and ConfigMaps that a container's environment refers to."""
    for variable in container.get("env", ()):
        for name, kind in _KINDS:
            if reference := variable.get("valueFrom", {}).get(f"{name}KeyRef"):
                yield kind, reference["name"]
    for whole in container.get("envFrom", ()):
        for name, kind in _KINDS:
            if reference := whole.get(f"{name}Ref"):
                yield kind, reference["name"]


def _key(
    reference: Mapping[str, Any], kind: Kind, fetched: Mapping[Source, Mapping[str, str] | None]
) -> str | None:
    data = fetched[kind, reference["name"]]
    if data is not None and reference["key"] in data:
        return data[reference["key"]]
    if reference.get("optional"):
        return None
    missing = "does not exist" if data is None else f"has no key {reference['key']!r}"
    raise ConfigError(f"{kind} {reference['name']!r} {missing}")


def _value(
    variable: Mapping[str, Any], facts: PodFacts, fetched: Mapping[Source, Mapping[str, str] | None]
) -> str | None:
    origin = variable.get("valueFrom")
    if not origin:
        return str(variable.get("value", ""))
    if "fieldRef" in origin:
        return facts.field(origin["fieldRef"]["fieldPath"])
    for name, kind in _KINDS:
        if reference := origin.get(f"{name}KeyRef"):
            return _key(reference, kind, fetched)
    raise ConfigError(f"env {variable['name']}: valueFrom {sorted(origin)} is not known to the lab")


def resolve(
    container: Mapping[str, Any], facts: PodFacts, fetched: Mapping[Source, Mapping[str, str] | None]
) -> dict[str, str]:
    """The variables a container asks for; `fetched` holds every one of `sources`, None for what does not exist.

    Raises ConfigError that names what is missing.
    """
    result: dict[str, str] = {}
    for whole in container.get("envFrom", ()):
        for name, kind in _KINDS:
            if reference := whole.get(f"{name}Ref"):
                data = fetched[kind, reference["name"]]
                if data is None and not reference.get("optional"):
                    raise ConfigError(f"{kind} {reference['name']!r} does not exist")
                result |= {whole.get("prefix", "") + key: value for key, value in (data or {}).items()}
    for variable in container.get("env", ()):
        if (value := _value(variable, facts, fetched)) is not None:
            result[variable["name"]] = value
    return result
