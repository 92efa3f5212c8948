"""What a user can set of the controller."""

from __future__ import annotations

from dataclasses import dataclass

from heraldlb.api.group import LOAD_BALANCER_CLASS


@dataclass(frozen=True, slots=True)
class ServiceClass:
    """Which Services are ours, by `spec.loadBalancerClass`."""

    name: str
    default: bool

    def owns(self, wanted: str | None) -> bool:
        """Whether a Service of that class, or of none, is ours."""
        return self.default if wanted is None else wanted == self.name


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """Settings of one controller process."""

    load_balancer_class: str = LOAD_BALANCER_CLASS
    """Services of this `spec.loadBalancerClass` are ours."""
    default_class: bool = True
    """Services without a class are ours, too."""
    annotation_aliases: bool = True
    """Read MetalLB's and Cilium's annotations as if they were ours."""
    writers: int = 64
    """Services visited at the same time; what bounds the load put on the API server."""

    @property
    def service_class(self) -> ServiceClass:
        """Which Services are ours."""
        return ServiceClass(self.load_balancer_class, self.default_class)
