"""Whether Cilium replaces kube-proxy, as its ConfigMap says: nothing on a node tells."""

from __future__ import annotations

import logging
import time

from heraldlb.api.objects import Raw, text
from heraldlb.kube.client import CONFIG_MAPS, Api, ApiError, ApiUnavailableError

log = logging.getLogger(__name__)

NAMESPACE, NAME = "kube-system", "cilium-config"

FRESH = 300.0
"""Seconds for which an answer is used: it is asked for on every node, and hardly ever changes."""


def replaces_kube_proxy(raw: Raw) -> bool:
    """What the ConfigMap says; `strict` is what versions before 1.14 call it."""
    return text(raw, "data", "kube-proxy-replacement") in ("true", "strict")


class CiliumConfig:
    """Reads it now and then."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._replaces = False
        self._read_at = -float("inf")

    async def replaces(self) -> bool:
        """Whether Cilium replaces kube-proxy, as was last known; never raises."""
        if time.monotonic() - self._read_at < FRESH:
            return self._replaces
        self._read_at = time.monotonic()
        try:
            self._replaces = replaces_kube_proxy(await self._api.get(CONFIG_MAPS, NAME, NAMESPACE))
        except ApiError as error:
            if error.not_found:
                self._replaces = False
            else:
                log.warning("whether Cilium replaces kube-proxy could not be read: %s", error)
        except ApiUnavailableError as error:
            log.debug("whether Cilium replaces kube-proxy could not be read: %s", error)
        return self._replaces
