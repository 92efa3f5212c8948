"""Short ways to say what allocation tests talk about."""

from __future__ import annotations

import ipaddress
from typing import Any

from heraldlb.allocation.allocator import Outcome, decide, holding_of
from heraldlb.allocation.book import PoolBook
from heraldlb.allocation.ledger import Ledger
from heraldlb.allocation.requests import Request, request_of
from heraldlb.api.addresspool import AddressPool, parse_pool
from heraldlb.api.services import parse_service


def pool(name: str, *addresses: str, created: str = "2026-01-01T00:00:00Z", **spec: Any) -> AddressPool:
    return parse_pool(
        {
            "metadata": {"name": name, "creationTimestamp": created},
            "spec": {"addresses": list(addresses), **spec},
        }
    )


def service(
    name: str, *, namespace: str = "default", created: str = "2026-01-01T00:00:00Z", **fields: Any
) -> dict[str, Any]:
    """A raw Service; `annotations`, `labels`, `uid` and `status` go where they belong, the rest into `spec`."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": fields.pop("uid", f"uid-{namespace}-{name}"),
        "creationTimestamp": created,
        "annotations": fields.pop("annotations", {}),
        "labels": fields.pop("labels", {}),
    }
    status = fields.pop("status", {})
    spec = {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}], "ipFamilies": ["IPv4"], **fields}
    return {"metadata": metadata, "spec": spec, "status": status}


def request(name: str, *, namespace_labels: dict[str, str] | None = None, **fields: Any) -> Request:
    return request_of(parse_service(service(name, **fields)), namespace_labels or {})


DUAL = {"ipFamilies": ["IPv4", "IPv6"]}
PREFER = {**DUAL, "ipFamilyPolicy": "PreferDualStack"}
REQUIRE = {**DUAL, "ipFamilyPolicy": "RequireDualStack"}


class Desk:
    """Pools and a ledger to decide against, with grants entered as the controller enters them."""

    def __init__(self, *pools: AddressPool) -> None:
        self.ledger = Ledger()
        self.book = PoolBook(pools)

    def pools(self, *pools: AddressPool) -> None:
        self.book = PoolBook(pools)

    def ask(self, asked: Request) -> Outcome:
        outcome = decide(asked, self.book, self.ledger)
        granted = {grant.address for grant in outcome.grants}
        for address in self.ledger.held_by(asked.uid):
            if address not in granted:
                self.ledger.drop(address, asked.uid)
        for grant in outcome.grants:
            self.ledger.put(grant.address, grant.pool, holding_of(asked))
        return outcome

    def give(self, name: str, **fields: Any) -> list[str]:
        return addresses(self.ask(request(name, **fields)))


def addresses(outcome: Outcome) -> list[str]:
    return [str(grant.address) for grant in outcome.grants]


ip = ipaddress.ip_address
