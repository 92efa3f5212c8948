"""What may happen to a cluster, as data: vocabulary, steps and whole histories for Hypothesis to draw from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

NAMES = [f"s{number}" for number in range(6)]
POOLS = ["a", "b", "c"]
NAMESPACES = ["x", "y"]

ENTRIES = [
    "10.0.0.0-10.0.0.2",
    "10.0.0.2-10.0.0.4",
    "10.0.0.1",
    "10.0.1.0/31",
    "10.0.9.9-10.0.9.1",
    "fd00::1-fd00::2",
    "fd00::2-fd00::3",
    "fd00:1::/127",
]
ADDRESSES = ["10.0.0.1", "10.0.0.2", "fd00::2", "10.0.0.3,fd00::1", "10.7.7.7"]

entries = st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=3, unique=True)
_timeless: dict[str, st.SearchStrategy[Any]] = {
    "assignment": st.sampled_from(["Automatic", "OnRequest", "Paused"]),
    "priority": st.sampled_from([1, 100]),
    "namespaces": st.sampled_from([["x"], ["x", "y"]]),
    "excluded": st.sampled_from([["10.0.0.1"], ["fd00::2"]]),
    "maxPerNamespace": st.sampled_from([1, 2]),
}
_keeping: dict[str, st.SearchStrategy[Any]] = {
    "reuseDelay": st.sampled_from(["10s", "1m"]),
    "reclaimPolicy": st.just("Retain"),
}
pool_specs = st.fixed_dictionaries({"addresses": entries}, optional=_timeless | _keeping)
forgetful_pool_specs = st.fixed_dictionaries({"addresses": entries}, optional=_timeless)
"""Of pools that keep no address for anyone, so that what becomes of Services does not depend on the time."""

families = st.sampled_from(
    [
        {"ipFamilies": ["IPv4"]},
        {"ipFamilies": ["IPv6"]},
        {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"},
        {"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "RequireDualStack"},
    ]
)
annotations = st.fixed_dictionaries(
    {},
    optional={
        "heraldlb.io/addresses": st.sampled_from(ADDRESSES),
        "heraldlb.io/address-pool": st.sampled_from([*POOLS, "none"]),
        "heraldlb.io/sharing-key": st.sampled_from(["k", "l"]),
        "heraldlb.io/sharing": st.just("Required"),
    },
)
ports = st.lists(st.sampled_from([80, 81, 443]), min_size=1, max_size=2, unique=True).map(
    lambda numbers: {"ports": [{"port": number, "protocol": "TCP"} for number in numbers]}
)
policies = st.sampled_from([{}, {"externalTrafficPolicy": "Local"}])


@dataclass(frozen=True, slots=True)
class ApplyPool:
    """Create a pool, or replace its whole spec."""

    name: str
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeletePool:
    """Delete a pool, which need not be there."""

    name: str


@dataclass(frozen=True, slots=True)
class ApplyService:
    """Create a Service, or replace its wishes and these fields of its spec."""

    name: str
    namespace: str
    wishes: dict[str, str]
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteService:
    """Delete a Service, which need not be there."""

    name: str


@dataclass(frozen=True, slots=True)
class Restart:
    """The controller ends, and another one starts."""


Step = ApplyPool | DeletePool | ApplyService | DeleteService | Restart

service_specs = st.tuples(families, ports, policies).map(lambda parts: {**parts[0], **parts[1], **parts[2]})
apply_pool = st.builds(ApplyPool, st.sampled_from(POOLS), forgetful_pool_specs)
apply_service = st.builds(
    ApplyService, st.sampled_from(NAMES), st.sampled_from(NAMESPACES), annotations, service_specs
)


@st.composite
def histories(draw: st.DrawFn, shortest: int, longest: int) -> list[Step]:
    """Histories without time, that begin with a pool and two Services; nothing is deleted that is not there."""
    history: list[Step] = [draw(apply_pool), draw(apply_service), draw(apply_service)]
    while len(history) < shortest or (len(history) < longest and draw(st.booleans())):
        kinds = [apply_pool, apply_service, apply_service, apply_service, st.just(Restart())]
        if services := _present(history, ApplyService, DeleteService):
            kinds.append(st.builds(DeleteService, st.sampled_from(services)))
        if pools := _present(history, ApplyPool, DeletePool):
            kinds.append(st.builds(DeletePool, st.sampled_from(pools)))
        history.append(draw(st.one_of(kinds)))
    return history


def _present(
    history: list[Step], applied: type[ApplyPool | ApplyService], deleted: type[DeletePool | DeleteService]
) -> list[str]:
    """The names of what is there after all that."""
    names: set[str] = set()
    for step in history:
        if isinstance(step, applied):
            names.add(step.name)
        elif isinstance(step, deleted):
            names.discard(step.name)
    return sorted(names)
