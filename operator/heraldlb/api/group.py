"""Names that are part of the product's promise: API group, annotations, classes, labels."""

from __future__ import annotations

from typing import Final

GROUP: Final = "heraldlb.io"
VERSION: Final = "v1beta1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

LOAD_BALANCER_CLASS: Final = f"{GROUP}/herald"

ADDRESSES_ANNOTATION: Final = f"{GROUP}/addresses"
ADDRESS_POOL_ANNOTATION: Final = f"{GROUP}/address-pool"
SHARING_KEY_ANNOTATION: Final = f"{GROUP}/sharing-key"
SHARING_ANNOTATION: Final = f"{GROUP}/sharing"
SCHEDULER_ANNOTATION: Final = f"{GROUP}/scheduler"
NODE_WEIGHTS_ANNOTATION: Final = f"{GROUP}/node-weights"
CONNECTION_SURVIVAL_ANNOTATION: Final = f"{GROUP}/connection-survival"

ADDRESSES_ALIASES: Final = (
    "metallb.io/loadBalancerIPs",
    "metallb.universe.tf/loadBalancerIPs",
    "lbipam.cilium.io/ips",
)
ADDRESS_POOL_ALIASES: Final = ("metallb.io/address-pool", "metallb.universe.tf/address-pool")
SHARING_KEY_ALIASES: Final = (
    "metallb.io/allow-shared-ip",
    "metallb.universe.tf/allow-shared-ip",
    "lbipam.cilium.io/sharing-key",
)

ADDRESS_ASSIGNED_CONDITION: Final = f"{GROUP}/AddressAssigned"

CONTROLLER_NAME: Final = f"{GROUP}/controller"
AGENT_NAME: Final = f"{GROUP}/agent"

WEIGHT_LABEL: Final = f"{GROUP}/weight"
EXCLUDE_NODE_LABEL: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
SERVICE_PROXY_NAME_LABEL: Final = "service.kubernetes.io/service-proxy-name"
