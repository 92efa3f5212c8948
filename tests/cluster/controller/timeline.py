"""Invariants that must hold at every moment, checked on the order in which the API server took the writes. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tests.cluster.controller.api import Change
from tests.cluster.controller.tenant import shown_by


def doubles(services: Iterable[Change]) -> list[str]:
    """Every moment at which two Services showed one address."""
    shown: dict[str, list[str]] = {}
    found = []
    for change in sorted(services, key=lambda change: change.version):
        uid = change.object["metadata"]["uid"]
        shown[uid] = [] if change.type == "DELETED" else shown_by(change.object)
        for address in shown[uid]:
            holders = [each for each, addresses in shown.items() if address in addresses]
            if len(holders) > 1:
                found.append(f"at {change.version}: {address} is shown by {holders}")
    return found


def unrecorded(services: Iterable[Change], records: Iterable[Change]) -> list[str]:
    """Every moment at which a Service showed an address that was not recorded for it."""
    shown: dict[str, list[str]] = {}
    holders: dict[str, list[str]] = {}
    found = []
    for change in sorted([*services, *records], key=lambda change: change.version):
        gone = change.type == "DELETED"
        if change.object["kind"] == "ServiceAddress":
            spec = change.object["spec"]
            holders[spec["address"]] = [] if gone else [holder["uid"] for holder in spec["services"]]
        else:
            shown[change.object["metadata"]["uid"]] = [] if gone else shown_by(change.object)
        found += [
            f"at {change.version}: {address} is shown by {uid}, recorded for {holders.get(address, 'nobody')}"
            for uid, addresses in shown.items()
            for address in addresses
            if uid not in holders.get(address, ())
        ]
    return found
