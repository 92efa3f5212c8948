"""The examples do what the how-tos say of them: applied as they are, with kubectl, where Herald runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.api_server import ApiServer
from lab.waiting import wait_for
from tests.cluster.controller.api import POOLS, RECORDS, Api, Body, services_of
from tests.cluster.controller.tenant import CONDITION, shown_by
from tools.pages import manifests, pages

pytestmark = pytest.mark.usefixtures("controller")

EXAMPLES = Path(__file__).parents[3] / "examples"
ANNOUNCEMENTS = "/apis/heraldlb.io/v1beta1/l2announcements"
NODES = "/api/v1/nodes"

PATIENCE = 60.0
"""Seconds: a whole file is created, and told of, before the last of it is served."""

Service = tuple[str, str]
"""Namespace and name."""

DEFAULT = "default"

GIVEN: Mapping[tuple[str, ...], Mapping[Service, list[str]]] = {
    ("addresspool", "service"): {(DEFAULT, "web"): ["192.168.100.240", "fd00:100::240"]},
    ("home-lab",): {(DEFAULT, "photos"): ["192.168.1.241"], (DEFAULT, "wiki"): ["192.168.1.240"]},
    ("several-networks",): {
        (DEFAULT, "intranet"): ["192.168.10.240"],
        (DEFAULT, "recorder"): ["192.168.20.240"],
    },
    ("ingress-nginx",): {(DEFAULT, "ingress-nginx-controller"): ["192.168.1.239"]},
    ("sharing",): {(DEFAULT, "dns"): ["192.168.1.238"], (DEFAULT, "dns-admin"): ["192.168.1.238"]},
    ("dual-stack",): {
        (DEFAULT, "mail"): ["fd00:1::220/127", "192.168.1.220/31"],
        (DEFAULT, "shop"): ["192.168.1.220/31", "fd00:1::220/127"],
        (DEFAULT, "printer"): ["fd00:1::225"],
    },
    ("quotas",): {
        ("team-a", "web"): ["192.168.1.200/31"],
        ("team-a", "api"): ["192.168.1.200/31"],
        ("payments", "gateway"): ["192.168.1.232"],
    },
    ("per-client",): {(DEFAULT, "video"): ["192.168.1.237"]},
}
"""What each Service of the examples that go together gets, in a cluster of both families: one address of each
network, in this order. Which of two Services is served first, nobody promises."""

Apply = Callable[..., None]


@pytest.fixture
def apply(api_server: ApiServer, api: Api) -> Iterator[Apply]:
    """Apply examples, one after another; what they made goes with the test."""
    applied: list[Path] = []

    def run(*names: str) -> None:
        for name in names:
            applied.append(EXAMPLES / f"{name}.yaml")
            api_server.kubectl("apply", "--filename", str(applied[-1]))

    yield run
    made = [
        body for body in documents(applied) if body["kind"] != "Namespace"
    ]  # Nothing here empties a deleted one.
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    api_server.kubectl("delete", "--ignore-not-found", "--filename=-", input=everything)
    pools = {name for kind, _, name in map(identity, made) if kind == "AddressPool"}

    def all_free() -> bool:
        return not any(record["spec"]["addressPool"] in pools for record in api.every(RECORDS))

    wait_for("the addresses of the examples to be free", all_free, timeout=PATIENCE)


@pytest.fixture
def node(api: Api) -> Iterator[None]:
    """A Node that every example's L2Announcement selects."""
    labels = {"network/cameras": "true", "network/speed": "fast"}
    api.create(NODES, {"metadata": {"name": "example", "labels": labels}})
    yield
    api.delete(NODES, "example")


def documents(paths: Iterable[Path]) -> list[Body]:
    """The objects of the files."""
    return [body for path in paths for body in yaml.safe_load_all(path.read_text())]


def identity(body: Body) -> tuple[str, str, str]:
    """Kind, namespace and name."""
    return body["kind"], body["metadata"].get("namespace", DEFAULT), body["metadata"]["name"]


def condition(body: Body, kind: str) -> Any:
    """The status of a condition of the object's present generation, None where it has none."""
    conditions = (body.get("status") or {}).get("conditions", [])
    generation = body["metadata"].get("generation", 0)
    return next(
        (
            each["status"]
            for each in conditions
            if each["type"] == kind and each.get("observedGeneration", generation) == generation
        ),
        None,
    )


def within(addresses: list[str], networks: list[str]) -> bool:
    """Whether there is one address of each network, in the same order."""
    pairs = zip(map(ip_address, addresses), map(ip_network, networks), strict=False)
    return len(addresses) == len(networks) and all(address in network for address, network in pairs)


def await_ready(api: Api, collection: str, name: str) -> None:
    """Return when the object is said to be in order as it is now."""
    wait_for(f"{name} to be ready", lambda: condition(api.get(collection, name), "Ready") == "True")


def test_every_example_is_tried() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {name for names in GIVEN for name in names}


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("names", GIVEN, ids="+".join)
def test_an_example_gives_every_service_the_address_that_it_is_to_have(
    names: tuple[str, ...], apply: Apply, api: Api
) -> None:
    expected = GIVEN[names]
    apply(*names)

    def as_expected() -> bool:
        return all(
            within(shown_by(api.get(services_of(namespace), name)), networks)
            for (namespace, name), networks in expected.items()
        )

    wait_for(f"the Services to have {expected}", as_expected, timeout=PATIENCE)
    made = [identity(body) for body in documents(EXAMPLES / f"{name}.yaml" for name in names)]
    assert {(namespace, name) for kind, namespace, name in made if kind == "Service"} == expected.keys()
    for kind, namespace, name in made:
        match kind:
            case "Service":
                assert condition(api.get(services_of(namespace), name), CONDITION) == "True"
            case "AddressPool":
                await_ready(api, POOLS, name)
                assert condition(api.get(POOLS, name), "Overlapping") == "False"
            case "L2Announcement":
                await_ready(api, ANNOUNCEMENTS, name)


def test_every_object_on_a_page_is_one_that_the_api_server_takes(api_server: ApiServer, api: Api) -> None:
    shown = [body for page in pages() for body in manifests(page.read_text())]
    assert {"AddressPool", "L2Announcement", "Service"} <= {body["kind"] for body in shown}
    for body in shown:
        # The namespaces of pages are the users'.
        body["metadata"].pop("namespace", None)
        api_server.kubectl("create", "--dry-run=server", "--filename=-", input=json.dumps(body))


def test_the_quota_of_the_example_refuses_the_third_address(apply: Apply, api: Api) -> None:
    services = services_of("team-a")
    apply("quotas")
    wait_for("two addresses", lambda: [len(shown_by(body)) for body in api.every(services)] == [1, 1])
    api.create(services, {"metadata": {"name": "third"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})

    def reason() -> str:
        conditions = api.get(services, "third")["status"].get("conditions", [])
        return next((each["reason"] for each in conditions if each["type"] == CONDITION), "")

    try:
        assert wait_for("the third to be answered", reason) == "QuotaExceeded"
    finally:
        api.delete(services, "third")
