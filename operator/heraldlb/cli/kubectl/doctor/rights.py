"""What the credentials of whoever examines a cluster must be allowed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from heraldlb.api.group import GROUP


@dataclass(frozen=True, slots=True)
class Right:
    """One right, as `kubectl auth can-i VERB RESOURCE` asks for it."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    namespace: str = ""
    """Empty: in all."""
    purpose: str = ""
    """What it is needed for."""

    @property
    def question(self) -> str:
        """The command that asks the API server for it."""
        named = f"{self.resource}.{self.group}" if self.group else self.resource
        where = f"-n {self.namespace}" if self.namespace else "-A"
        return f"kubectl auth can-i {self.verb} {named}{self._suffix} {where}"

    @property
    def _suffix(self) -> str:
        return f" --subresource={self.subresource}" if self.subresource else ""

    @property
    def review(self) -> dict[str, Any]:
        """The SelfSubjectAccessReview that asks for it."""
        attributes = {
            "verb": self.verb,
            "group": self.group,
            "resource": self.resource,
            "subresource": self.subresource,
            "namespace": self.namespace,
        }
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
        }


_OURS: Final = tuple(
    Right("list", resource, GROUP, purpose="pools, policies and addresses")
    for resource in ("addresspools", "l2announcements", "serviceaddresses")
)
_CLUSTER: Final = (
    *_OURS,
    Right("list", "services", purpose="Services"),
    Right("list", "nodes", purpose="which nodes may announce, and whether each has an agent"),
    Right("list", "pods", purpose="Herald's own pods, and load balancers that nodes run by themselves"),
    Right("list", "leases", "coordination.k8s.io", purpose="which controller acts"),
    Right("list", "deployments", "apps", purpose="other load balancers"),
    Right("list", "daemonsets", "apps", purpose="other load balancers"),
)


def needed(namespaces: Iterable[str], *, probes: bool) -> tuple[Right, ...]:
    """All of them. `namespaces`: where agents run; `probes`: whether the network is to be asked, too."""
    proxied = [
        right
        for namespace in sorted(set(namespaces))
        for right in (
            Right("get", "pods", "", "proxy", namespace, "what the agents know of their nodes"),
            *([Right("create", "pods", "", "proxy", namespace, "what answers on the network")] if probes else ()),
        )
    ]
    return (*_CLUSTER, *proxied)


def is_allowed(review: Mapping[str, Any]) -> bool:
    """What the API server's answer to a review says."""
    status = review.get("status")
    return isinstance(status, Mapping) and status.get("allowed") is True
