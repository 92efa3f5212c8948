"""A life with the chart, by Helm itself: installed as the release before, upgraded under traffic, tested, changed,
uninstalled. In this order."""

from __future__ import annotations

import math
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from benchmarks.survive.held import Fate, Use
from benchmarks.survive.holder import Holder
from benchmarks.survive.server import TALK_PORT
from heraldlb.api.times import parse_time
from lab.cluster import HelmError
from lab.kubelet.images import WEB
from lab.lab import Lab
from lab.probing import Prober, asking
from lab.waiting import wait_for
from lab.workloads import WEB_PORT, web
from tests.cluster.controller.api import Api, Change, services_of
from tests.cluster.controller.tenant import shown_by
from tests.lab.herald.product import CHART, PATIENCE, Exposed, Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lab.host import Host

    Body = dict[str, Any]

EARLIER = Path(__file__).parent / "charts" / "heraldlb-0.1.0.tgz"
"""The chart as it was packaged before it could upgrade definitions or test itself."""
RELEASE, NAMESPACE, SHOP = "herald", "kube-system", "shop"
POOL = "--set=pool.addresses={192.168.100.240-192.168.100.250, fd00:100::f000/120}"
UNHURRIED = "--set=agent.failureTimeout=3s"
"""So that an agent which this machine keeps waiting is not taken for dead: this is about planned changes."""
KEEP = "--reset-then-reuse-values"
WAITS = ("--wait", "--timeout=3m")
TEST_POD = "herald-heraldlb-test"
OWN = f"--selector=app.kubernetes.io/instance={RELEASE}"
CONNECTION_PATIENCE = 10.0
"""Seconds after which a connection counts as lost: far more than any hand-over, and than this machine's pauses."""
DOORS = 4
"""Services: so many that every node announces addresses of theirs."""
PORTS = (("http", 80, WEB_PORT), ("talk", TALK_PORT, TALK_PORT))
HELD = (Use.TALK, Use.TALK, Use.TALK, Use.TALK, Use.CHAT, Use.DOWNLOAD)
"""Connections to each address that are open before an upgrade, and used all through it."""


@dataclass(frozen=True, slots=True)
class Release:
    """Herald as Helm has installed it, and Services of a user's that it serves."""

    lab: Lab
    herald: Product
    doors: Sequence[Exposed]

    @property
    def addresses(self) -> list[str]:
        return [address for door in self.doors for address in door.addresses]

    def helm(self, verb: str, *arguments: str) -> str:
        return self.lab.helm(verb, RELEASE, *arguments, f"--namespace={NAMESPACE}")

    def pods(self, component: str) -> set[str]:
        """UIDs."""
        return {pod["metadata"]["uid"] for pod in self._pods(component)}

    def key(self) -> str:
        secret = self.lab.get("secret", f"{RELEASE}-heraldlb-membership", f"--namespace={NAMESPACE}")
        return str(secret["data"]["key"])

    def assign(self, how: str) -> None:
        """Set the pool's `assignment`."""
        patch = f'--patch={{"spec": {{"assignment": "{how}"}}}}'
        self.lab.kubectl("patch", "addresspool", "default", "--type=merge", patch)

    def left(self) -> set[str]:
        """Everything in the cluster that carries the release's name."""
        kinds = self.lab.kubectl("api-resources", "--verbs=list", "--output=name").split()
        listed = ",".join(kind for kind in kinds if not kind.startswith(("events", "componentstatuses")))
        return set(self.lab.kubectl("get", listed, "--all-namespaces", "--output=name", OWN).split())

    def await_available(self, seconds: float) -> None:
        """Until all agents have been ready for so long: those that have not may be replaced all at once."""

        def ready_since(pod: Body) -> float:
            found = next((each for each in pod["status"]["conditions"] if each["type"] == "Ready"), {})
            since = parse_time(found.get("lastTransitionTime", "")) if found.get("status") == "True" else None
            return math.inf if since is None else since

        def available() -> bool:
            return max(map(ready_since, self._pods("agent")), default=math.inf) + seconds < time.time()

        wait_for("the agents to be available", available, seconds + PATIENCE)

    def await_no_hooks(self) -> None:
        """Until nothing of an upgrade's or a test's is there, of those that failed before neither."""

        def there() -> list[str]:
            return [name for name in self.left() if "-crds" in name or "-test" in name]

        wait_for("hooks to be gone", lambda: not there())

    def _pods(self, component: str) -> list[Body]:
        selector = f"{OWN},app.kubernetes.io/component={component}"
        return self.lab.items("pods", f"--namespace={NAMESPACE}", selector)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What was seen of the upgrade from the earlier chart."""

    traffic: Prober
    held: Mapping[str, Sequence[Fate]]
    """By address."""
    services: Sequence[Change]
    """Every write to a Service."""
    agents_before: set[str]
    key_before: str


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    """The earlier chart in a lab of its own, by the one command that is promised."""
    with Lab(nodes=3) as lab:
        lab.helm("install", RELEASE, str(EARLIER), f"--namespace={NAMESPACE}", POOL, UNHURRIED, *WAITS)
        herald = Product(lab)
        lab.create_namespace(SHOP)
        lab.apply(_talkative(web("web", SHOP, replicas=3)))
        lab.wait_for_rollout("deployment/web", SHOP)
        ports = [{"name": name, "port": port, "targetPort": target} for name, port, target in PORTS]
        names = [f"door-{number}" for number in range(DOORS)]
        doors = [herald.expose(SHOP, name, selector={"app": "web"}, ports=ports) for name in names]
        opened = Release(lab, herald, doors)
        for address in opened.addresses:
            herald.fetch(address)
        herald.wait_settled()
        yield opened


def _talkative(deployment: Body) -> Body:
    """With servers of conversations beside those of pages."""
    fields = {"POD_NAME": "metadata.name", "NODE_NAME": "spec.nodeName"}
    talk = {
        "name": "talk",
        "image": WEB,
        "command": [sys.executable, "-m", "benchmarks.survive.server"],
        "workingDir": str(CHART.parents[1]),
        "env": [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()],
        "readinessProbe": {"tcpSocket": {"port": TALK_PORT}, "periodSeconds": 1},
    }
    deployment["spec"]["template"]["spec"]["containers"].append(talk)
    return deployment


def _min_ready_seconds() -> int:
    seconds: int = yaml.safe_load((CHART / "values.yaml").read_text())["agent"]["minReadySeconds"]
    return seconds


@pytest.fixture(scope="module")
def upgrade(release: Release) -> Upgrade:
    """Until addresses move no more. The connections end with it."""
    agents, key = release.pods("agent"), release.key()
    client, addresses = release.lab.client, release.addresses
    with (
        closing(Api(release.lab.kubeconfig)) as api,
        Holder.on(client) as holder,
        asking(client, addresses, interval=0.08, patience=CONNECTION_PATIENCE) as traffic,
    ):

        def await_answers() -> None:
            since = time.monotonic()
            wait_for("the client to be answered", lambda: all(traffic.answered_since(a, since) for a in addresses))

        await_answers()
        release.await_available(_min_ready_seconds())
        began = api.now()
        held = {address: holder.open(address, TALK_PORT, HELD) for address in addresses}
        release.helm("upgrade", str(CHART), KEEP, *WAITS)
        release.herald.wait_healthy()
        release.herald.wait_settled()
        await_answers()
        holder.prove([each for some in held.values() for each in some])
        fates = {address: holder.leave(some) for address, some in held.items()}
        marker = {"metadata": {"name": "end"}, "spec": {"ports": [{"port": 80}]}}
        services = api.history(services_of(SHOP), began, marker)
    return Upgrade(traffic, fates, services, agents, key)


def test_an_upgrade_replaces_every_agent_and_loses_no_connection(
    release: Release, upgrade: Upgrade, record_property: Callable[[str, object], None]
) -> None:
    assert not release.pods("agent") & upgrade.agents_before
    for address in release.addresses:
        attempts, silence = upgrade.traffic.attempts[address], upgrade.traffic.silence(address)
        record_property(f"connections to {address}", len(attempts))
        record_property(f"longest silence of {address}", silence and silence.seconds)
        assert attempts
        assert not [attempt for attempt in attempts if not attempt.answered]
    for address, fates in upgrade.held.items():
        record_property(f"longest silence while talking with {address}", max(fate.silence for fate in fates))
        record_property(f"lost of {len(fates)} with {address}", sum(fate.failure is not None for fate in fates))
    assert not [fate for fates in upgrade.held.values() for fate in fates if fate.failure is not None]


def test_an_upgrade_changes_no_address_of_a_service_for_a_moment_even(release: Release, upgrade: Upgrade) -> None:
    for change in upgrade.services:
        door = next(door for door in release.doors if door.name == change.name)
        assert set(shown_by(change.object)) == set(door.addresses), change
    for door in release.doors:
        assert set(release.herald.shown(SHOP, door.name)) == set(door.addresses)


def test_an_upgrade_brings_the_definitions_up_to_date_and_keeps_the_key(release: Release, upgrade: Upgrade) -> None:
    assert release.key() == upgrade.key_before
    for plural in ("addresspools", "l2announcements", "serviceaddresses"):
        definition = release.lab.get("crd", f"{plural}.heraldlb.io", "--show-managed-fields")
        managers = {each["manager"] for each in definition["metadata"]["managedFields"]}
        assert "heraldlb-crds" in managers
    release.await_no_hooks()


@pytest.mark.usefixtures("upgrade")
def test_it_tests_itself_says_what_it_waits_for_and_leaves_nothing(release: Release) -> None:
    # No more than a setting of the test's, so there is nothing to wait for.
    release.helm("upgrade", str(CHART), KEEP, "--no-hooks", "--set=test.timeout=5s")
    release.assign("Paused")
    with pytest.raises(HelmError, match=f"pod {TEST_POD} failed"):
        release.helm("test")
    told = release.lab.log(TEST_POD, NAMESPACE)
    assert "after 5 s still waiting for an address (PoolPaused: " in told
    assert not release.lab.items("services", f"--namespace={NAMESPACE}", OWN), "it is deleted all the same"

    release.assign("Automatic")
    release.helm("upgrade", str(CHART), KEEP, "--no-hooks", f"--set=test.timeout={PATIENCE:.0f}s")
    assert "Phase:          Succeeded" in release.helm("test")
    release.await_no_hooks()


@pytest.mark.usefixtures("upgrade")
def test_what_concerns_the_controller_alone_restarts_no_agent(release: Release) -> None:
    agents, controllers = release.pods("agent"), release.pods("controller")
    changed = "--set=controller.extraArgs={--log-level=debug}"
    release.helm("upgrade", str(CHART), KEEP, "--no-hooks", changed, *WAITS)
    wait_for("other replicas", lambda: not controllers & release.pods("controller"), PATIENCE)
    assert release.pods("agent") == agents


@pytest.mark.usefixtures("upgrade")
def test_an_uninstallation_keeps_what_it_says_and_nothing_else(release: Release) -> None:
    shown = {door.name: release.herald.shown(SHOP, door.name) for door in release.doors}
    said = release.helm("uninstall", "--wait")
    assert "kept due to the resource policy" in said
    assert "[AddressPool] default" in said
    for node in release.lab.nodes.values():
        wait_for(f"no rule on {node.name}", lambda node=node: "herald" not in _tables(node), PATIENCE)  # type: ignore[misc]
    wait_for("nothing else to be left", lambda: release.left() == {"addresspool.heraldlb.io/default"}, PATIENCE)
    assert {name: release.herald.shown(SHOP, name) for name in shown} == shown


def _tables(node: Host) -> str:
    return node.exec(["nft", "list", "tables"]).stdout
