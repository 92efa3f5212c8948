"""The one vocabulary of reasons: condition reason, Event reason, metric label and documentation row at once.

What each means, what to do about it and where it appears stands in `explanations`.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an address was, or was not, given or announced. The value is what users see."""

    ADDRESS_ASSIGNED = "AddressAssigned"
    ADDRESS_RELEASED = "AddressReleased"
    NO_POOL = "NoPool"
    POOL_NOT_FOUND = "PoolNotFound"
    POOL_PAUSED = "PoolPaused"
    POOL_ON_REQUEST_ONLY = "PoolOnRequestOnly"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    SERVICE_NOT_SELECTED = "ServiceNotSelected"
    POOL_EXHAUSTED = "PoolExhausted"
    QUOTA_EXCEEDED = "QuotaExceeded"
    FAMILY_UNAVAILABLE = "FamilyUnavailable"
    ADDRESS_NOT_IN_ANY_POOL = "AddressNotInAnyPool"
    ADDRESS_IN_USE = "AddressInUse"
    ADDRESS_QUARANTINED = "AddressQuarantined"
    ADDRESS_RESERVED = "AddressReserved"
    SHARING_REFUSED = "SharingRefused"
    INVALID_REQUEST = "InvalidRequest"

    POOL_READY = "PoolReady"
    INVALID_ENTRY = "InvalidEntry"
    POOLS_OVERLAP = "PoolsOverlap"
    NO_OVERLAP = "NoOverlap"
    ADDRESSES_AVAILABLE = "AddressesAvailable"

    ANNOUNCING = "Announcing"
    HANDED_OVER = "HandedOver"
    NO_ELIGIBLE_NODE = "NoEligibleNode"
    ADDRESS_CONFLICT = "AddressConflict"
    FORWARDING_FAILED = "ForwardingFailed"
    HEALTH_CHECK_UNAVAILABLE = "HealthCheckUnavailable"
    INVALID_SOURCE_RANGE = "InvalidSourceRange"
    SCHEDULER_REFUSED = "SchedulerRefused"
    INVALID_WEIGHT = "InvalidWeight"
    INVALID_NODE_WEIGHT = "InvalidNodeWeight"
    CONNECTION_SURVIVAL_REFUSED = "ConnectionSurvivalRefused"
    FORWARDER_CHANGED = "ForwarderChanged"
    KERNEL_ANSWERS_ARP = "KernelAnswersARP"
    NODES_UNREACHABLE = "NodesUnreachable"


class Hindrance(StrEnum):
    """Why one node cannot announce an address; in words in `explanations`."""

    CORDONED = "Cordoned"
    EXCLUDED = "Excluded"
    NETWORK_UNAVAILABLE = "NetworkUnavailable"
    NOT_SELECTED = "NotSelected"
    NO_ENDPOINT = "NoEndpoint"
    NO_LOCAL_ENDPOINT = "NoLocalEndpoint"
    NOT_HEARD = "NotHeard"
    NOT_SERVING = "NotServing"
    NO_INTERFACE = "NoInterface"
    NO_PREFIX = "NoPrefix"
