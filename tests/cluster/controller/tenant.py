"""One test's part of the cluster: a namespace, networks of its own, and pools that serve that namespace only."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from heraldlb.api.group import CONTROLLER_NAME
from lab.waiting import wait_for
from tests.cluster.controller.api import (
    NAMESPACES,
    POOLS,
    RECORDS,
    Api,
    Body,
    Change,
    events_of,
    services_of,
    version_of,
)

CONDITION = "heraldlb.io/AddressAssigned"

Settle = Callable[[], None]
"""Returns when the acting controller has done everything that was to do."""


@dataclass
class Tenant:
    """Makes pools and Services, and says what has become of them."""

    api: Api
    namespace: str
    number: int
    """Makes its networks its own; 0 to 255."""
    pools: list[str] = field(default_factory=list)

    def ipv4(self, host: int) -> str:
        """An address of its IPv4 network, a /24."""
        return f"10.77.{self.number}.{host}"

    def ipv6(self, host: int) -> str:
        """An address of its IPv6 network, a /64."""
        return f"fd77:{self.number:x}::{host:x}"

    def range4(self, first: int, last: int) -> str:
        """A range of its IPv4 network."""
        return f"{self.ipv4(first)}-{self.ipv4(last)}"

    def range6(self, first: int, last: int) -> str:
        """A range of its IPv6 network."""
        return f"{self.ipv6(first)}-{self.ipv6(last)}"

    def pool_name(self, name: str) -> str:
        """What a pool of this tenant is called in the cluster."""
        return f"{self.namespace}-{name}"

    def pool(self, name: str, *entries: str, **spec: Any) -> str:
        """Create a pool for this namespace. Returns the name by which the cluster knows it."""
        full = self.pool_name(name)
        body = {"apiVersion": "heraldlb.io/v1beta1", "kind": "AddressPool", "metadata": {"name": full}}
        self.api.create(POOLS, body | {"spec": {"addresses": entries, "namespaces": [self.namespace], **spec}})
        self.pools.append(full)
        return full

    def edit_pool(self, name: str, **spec: Any) -> Body:
        """Change fields of a pool's spec."""
        return self.api.patch(POOLS, self.pool_name(name), {"spec": spec})

    def replace_pool(self, name: str, **spec: Any) -> Body:
        """Change the whole spec of a pool: what is not named is as if it had never been written."""
        former = self.api.get(POOLS, self.pool_name(name))["spec"]
        return self.edit_pool(name, **dict.fromkeys(former) | spec)

    def delete_pool(self, name: str) -> None:
        """Delete a pool."""
        self.api.delete(POOLS, self.pool_name(name))

    def pool_status(self, name: str) -> Body:
        """A pool's status, empty before there is one."""
        return self.api.get(POOLS, self.pool_name(name)).get("status") or {}

    def await_pool_seen(self, *names: str) -> None:
        """Return when the acting controller knows the pools as they are now."""

        def seen(name: str) -> bool:
            pool = self.api.get(POOLS, self.pool_name(name))
            observed = (pool.get("status") or {}).get("observedGeneration", 0)
            return bool(observed == pool["metadata"]["generation"])

        wait_for(f"the controller to see the pools {names}", lambda: all(map(seen, names)))

    def pool_condition(self, name: str, kind: str) -> Body:
        """One condition of a pool, empty before there is one."""
        return _condition(self.pool_status(name), kind)

    def await_pool_condition(self, name: str, kind: str, status: str, reason: str = "") -> Body:
        """One condition of a pool, once it has that status and, if given, that reason."""

        def found() -> Body | None:
            condition = self.pool_condition(name, kind)
            fits = condition.get("status") == status and reason in ("", condition.get("reason"))
            return condition if fits else None

        return wait_for(f"pool {name}: {kind}={status} {reason}", found)

    def service(
        self,
        name: str,
        *,
        families: Iterable[str] = ("IPv4",),
        ports: Iterable[int | str] = (80,),
        annotations: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        **spec: Any,
    ) -> Body:
        """Create a Service of type LoadBalancer. A port is a number, or one with its protocol as in `53/UDP`."""
        families = list(families)
        policy = "RequireDualStack" if len(families) > 1 else "SingleStack"
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "annotations": annotations or {}, "labels": labels or {}},
            "spec": {
                "type": "LoadBalancer",
                "ipFamilies": families,
                "ipFamilyPolicy": policy,
                "selector": {"app": name},
                "ports": [service_port(port) for port in ports],
                **spec,
            },
        }
        return self.api.create(services_of(self.namespace), body)

    def get(self, name: str) -> Body:
        """A Service."""
        return self.api.get(services_of(self.namespace), name)

    def edit(self, name: str, **spec: Any) -> Body:
        """Change fields of a Service's spec."""
        return self.api.patch(services_of(self.namespace), name, {"spec": spec})

    def replace(self, name: str, annotations: dict[str, str], spec: Body) -> Body:
        """Change a Service's annotations to exactly these, and fields of its spec, of which `ipFamilies` is one."""
        former = self.get(name)
        without = dict.fromkeys(former["metadata"].get("annotations", {}))
        # Cluster IPs of a family that the Service is to have no more must go in the same write.
        kept = {"clusterIPs": former["spec"]["clusterIPs"][:1]} if len(spec["ipFamilies"]) == 1 else {}
        body = {"metadata": {"annotations": without | annotations}, "spec": {**spec, **kept}}
        return self.api.patch(services_of(self.namespace), name, body)

    def annotate(self, name: str, **annotations: str | None) -> Body:
        """Change a Service's annotations of ours, named without their prefix; `_` stands for `-`."""
        changed = {f"heraldlb.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
        return self.api.patch(services_of(self.namespace), name, {"metadata": {"annotations": changed}})

    def label(self, name: str, **labels: str | None) -> Body:
        """Change a Service's labels."""
        return self.api.patch(services_of(self.namespace), name, {"metadata": {"labels": labels}})

    def label_namespace(self, **labels: str | None) -> Body:
        """Change the labels of the namespace."""
        return self.api.patch(NAMESPACES, self.namespace, {"metadata": {"labels": labels}})

    def set_status(self, name: str, *addresses: str) -> Body:
        """Have a Service show addresses, as another implementation, or an earlier Herald, would have left it."""
        ingress = [{"ip": address, "ipMode": "VIP"} for address in addresses]
        status = {"status": {"loadBalancer": {"ingress": ingress or None}}}
        return self.api.patch(services_of(self.namespace), name, status, "status")

    def delete(self, name: str) -> None:
        """Delete a Service."""
        self.api.delete(services_of(self.namespace), name)

    def shown(self, name: str) -> list[str]:
        """The addresses that a Service shows."""
        return shown_by(self.get(name))

    def all_shown(self) -> dict[str, list[str]]:
        """The addresses that each Service of the namespace shows."""
        return {body["metadata"]["name"]: shown_by(body) for body in self.api.every(services_of(self.namespace))}

    def condition(self, name: str) -> Body:
        """Our condition of a Service, empty where there is none."""
        return _condition(self.get(name)["status"], CONDITION)

    def await_shown(self, name: str, *addresses: str) -> None:
        """Return when a Service shows exactly these addresses."""
        wait_for(f"{name} to show {list(addresses)}", lambda: self.shown(name) == list(addresses))

    def await_assigned(self, *names: str, count: int = 1) -> dict[str, list[str]]:
        """The addresses that the Services show, once each shows `count`."""

        def all_served() -> dict[str, list[str]] | None:
            shown = self.all_shown()
            return shown if all(len(shown[name]) == count for name in names) else None

        shown = wait_for(f"{len(names)} Services of {self.namespace} to be served", all_served, timeout=60)
        return {name: shown[name] for name in names}

    def await_condition(self, name: str, status: str, reason: str) -> Body:
        """Our condition of a Service, once it has that status and reason."""

        def found() -> Body | None:
            condition = self.condition(name)
            return condition if (condition.get("status"), condition.get("reason")) == (status, reason) else None

        return wait_for(f"{name}: {status} {reason}", found)

    def await_refused(self, name: str, reason: str) -> str:
        """What condition and Event alike tell of a Service that got nothing, once both do."""
        message: str = self.await_condition(name, "False", reason)["message"]
        event = self.await_event(name, reason)
        assert (event["type"], event["note"]) == ("Warning", message)
        assert self.shown(name) == []
        return message

    def record(self, address: str) -> Body | None:
        """The ServiceAddress of an address."""
        return self.api.find(RECORDS, record_name(address))

    def recorded(self) -> list[str]:
        """The addresses of this tenant's pools that are recorded for someone."""
        specs = [body["spec"] for body in self.api.every(RECORDS)]
        return [spec["address"] for spec in specs if spec["addressPool"] in self.pools]

    def await_no_record(self, address: str) -> None:
        """Return when nobody holds the address."""
        wait_for(f"the record of {address} to go", lambda: self.record(address) is None)

    def holders(self, address: str) -> list[str]:
        """The names of the Services that the record of an address names."""
        record = self.record(address)
        return [holder["name"] for holder in record["spec"]["services"]] if record else []

    def events(self, name: str) -> list[Body]:
        """The Events about a Service, oldest first."""
        about = [body for body in self.api.every(events_of(self.namespace)) if body["regarding"]["name"] == name]
        return sorted(about, key=lambda body: str(body["eventTime"]))

    def told(self) -> dict[str, int]:
        """The resourceVersion of every Event of ours in the namespace; it changes when an Event is told again."""
        return {
            body["metadata"]["name"]: version_of(body)
            for body in self.api.every(events_of(self.namespace))
            if body["reportingController"] == CONTROLLER_NAME
        }

    def await_event(self, name: str, reason: str) -> Body:
        """The last Event of that reason about a Service."""

        def found() -> Body | None:
            fitting = [event for event in self.events(name) if event["reason"] == reason]
            return fitting[-1] if fitting else None

        return wait_for(f"an Event {reason} about {name}", found)

    def versions(self) -> dict[str, int]:
        """The resourceVersion of every Service, ServiceAddress and pool of this tenant, by uid."""
        own = [body for body in self.api.every(POOLS) if body["metadata"]["name"] in self.pools]
        records = [body for body in self.api.every(RECORDS) if body["spec"]["addressPool"] in self.pools]
        everything = [*own, *records, *self.api.every(services_of(self.namespace))]
        return {body["metadata"]["uid"]: version_of(body) for body in everything}

    def versions_of(self, name: str) -> dict[str, int]:
        """The resourceVersion of one Service and of the records of what it shows."""
        service = self.get(name)
        records = {
            address: version_of(self.api.get(RECORDS, record_name(address))) for address in shown_by(service)
        }
        return {name: version_of(service), **records}

    def service_history(self, since: int) -> list[Change]:
        """Every write to the tenant's Services after the version `since`."""
        marker = {"metadata": {"name": "marker"}, "spec": {"ports": [{"port": 1}]}}
        return self.api.history(services_of(self.namespace), since, marker)

    def assert_kept(self, shown: Mapping[str, Sequence[str]], since: int) -> None:
        """Each of these Services has shown these addresses at every write after the version `since`, not at the end
        only."""
        for change in self.service_history(since):
            if change.name in shown:
                assert shown_by(change.object) == list(shown[change.name]), change.name

    def write_record(self, address: str, pool: str, name: str) -> None:
        """Record an address for a Service, as a controller does that gets no further."""
        service = self.get(name)
        ports = [{"port": port["port"], "protocol": port["protocol"]} for port in service["spec"]["ports"]]
        holder = {"namespace": self.namespace, "name": name, "uid": service["metadata"]["uid"], "ports": ports}
        self.api.create(RECORDS, _record(address, self.pool_name(pool), holder))

    def record_history(self, since: int) -> list[Change]:
        """Every write to ServiceAddresses after the version `since`."""
        address = self.ipv4(255)
        return self.api.history(RECORDS, since, _record(address, self.pool_name("marker")))

    def leave(self) -> None:
        """Delete everything of this tenant. Nothing here empties a deleted namespace, and Services that stay would
        wait for ever, and be told anew of every pool that comes and goes."""
        self.api.delete_every(services_of(self.namespace))
        self.api.delete(NAMESPACES, self.namespace)
        for pool in self.pools:
            self.api.delete(POOLS, pool)


def shown_by(service: Body) -> list[str]:
    """The addresses in a Service's status."""
    return [entry["ip"] for entry in service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()]


def service_port(written: int | str) -> Body:
    """An entry of `spec.ports`: of a number, or of one with its protocol as in `53/UDP`."""
    number, _, protocol = str(written).partition("/")
    protocol = protocol or "TCP"
    return {"name": f"{protocol.lower()}-{number}", "port": int(number), "protocol": protocol}


def record_name(address: str) -> str:
    """The name of the ServiceAddress of an address as the tenant writes it."""
    if ":" not in address:
        return address
    head, _, tail = address.partition("::")
    groups = head.split(":")
    return "-".join([*groups, *["0"] * (7 - len(groups)), tail or "0"])


def next_second(older: Body) -> None:
    """Return when what is created from now on is newer by its creationTimestamp, which counts whole seconds."""
    created = datetime.datetime.fromisoformat(older["metadata"]["creationTimestamp"])
    later = created + datetime.timedelta(seconds=1)
    wait_for("the next second", lambda: datetime.datetime.now(datetime.UTC) >= later)


def _record(address: str, pool: str, *holders: Body) -> Body:
    head = {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "ServiceAddress",
        "metadata": {"name": record_name(address)},
    }
    return head | {"spec": {"address": address, "addressPool": pool, "services": holders}}


def _condition(status: Body, kind: str) -> Body:
    return next((entry for entry in status.get("conditions") or () if entry["type"] == kind), {})
