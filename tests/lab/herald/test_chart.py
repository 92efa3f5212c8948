"""A life with the chart, by Helm itself: installed as the release before, upgraded under traffic, tested, changed,
uninstalled."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cluster import HelmError
from lab.lab import Lab
from lab.probing import asking
from lab.waiting import wait_for
from tests.lab.herald.product import CHART, PATIENCE, Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EARLIER = Path(__file__).parent / "charts" / "heraldlb-0.1.0.tgz"
"""The chart as it was packaged before it could upgrade definitions or test itself."""
RELEASE = "herald"
POOL = "--set=pool.addresses={192.168.100.240-192.168.100.250, fd00:100::f000/120}"
KEEP = "--reset-then-reuse-values"
TEST = "herald-heraldlb-test"
NAMESPACE = "kube-system"
OWN = f"--selector=app.kubernetes.io/instance={RELEASE}"
WAITS = ["--wait", "--timeout=3m"]
CONNECTION_PATIENCE = 10.0
"""Seconds after which a connection counts as lost: far more than any hand-over, and than this machine's pauses."""


@pytest.fixture(scope="module", name="lab")
def other_lab() -> Iterator[Lab]:
    """A lab of its own: it begins without Herald."""
    with Lab(nodes=3) as lab:
        yield lab


def test_a_release_is_upgraded_under_traffic_tested_changed_and_uninstalled(
    lab: Lab, record_property: Callable[[str, object], None]
) -> None:
    herald = Product(lab)

    def helm(verb: str, *arguments: str) -> str:
        return lab.helm(verb, RELEASE, *arguments, f"--namespace={NAMESPACE}")

    def agents() -> set[str]:
        return {pod["metadata"]["uid"] for pod in pods("agent")}

    def pods(component: str) -> list[dict[str, object]]:
        selector = f"{OWN},app.kubernetes.io/component={component}"
        return lab.items("pods", f"--namespace={NAMESPACE}", selector)

    def key() -> str:
        secret = lab.get("secret", f"{RELEASE}-heraldlb-membership", f"--namespace={NAMESPACE}")
        return str(secret["data"]["key"])

    # One command, and a Service is served.
    helm("install", str(EARLIER), POOL, *WAITS)
    lab.create_namespace("shop")
    herald.run("shop", replicas=3)
    door = herald.expose("shop", "web")
    for address in door.addresses:
        herald.fetch(address)
    herald.wait_settled()
    before, membership = agents(), key()

    # The next release, under traffic: every agent is replaced, and no connection is lost.
    with asking(lab.client, door.addresses, interval=0.02, patience=CONNECTION_PATIENCE) as prober:
        began = time.monotonic()
        wait_for("the client to be answered", lambda: all(prober.answered_since(a, began) for a in door.addresses))
        helm("upgrade", str(CHART), KEEP, *WAITS)
        herald.wait_healthy()
        done = time.monotonic()
        wait_for("the client to be answered", lambda: all(prober.answered_since(a, done) for a in door.addresses))
    for address in door.addresses:
        failures, silence = prober.failures(address, began), prober.silence(address)
        assert silence is not None
        record_property(
            f"{address}: connections, failed, longest silence", (failures.begun, failures.failed, silence.seconds)
        )
        assert failures.failed == 0
    assert not agents() & before
    assert key() == membership
    for plural in ("addresspools", "l2announcements", "serviceaddresses"):
        managers = lab.get("crd", f"{plural}.heraldlb.io", "--show-managed-fields")["metadata"]["managedFields"]
        assert "heraldlb-crds" in {manager["manager"] for manager in managers}, "the Job has run"
    assert _left_by_hooks(lab) == set()

    # It proves itself, and leaves nothing of that.
    assert "Phase:          Succeeded" in helm("test")
    assert _left_by_hooks(lab) == set()

    # What concerns the controller alone restarts no agent. What a test waits for in vain is told.
    settled, acting = agents(), {pod["metadata"]["uid"] for pod in pods("controller")}
    helm(
        "upgrade",
        str(CHART),
        KEEP,
        "--set=controller.extraArgs={--log-level=debug}",
        "--set=test.timeout=5s",
        *WAITS,
    )
    wait_for(
        "the controller to be replaced",
        lambda: not acting & {pod["metadata"]["uid"] for pod in pods("controller")},
        PATIENCE,
    )
    assert agents() == settled
    lab.kubectl("patch", "addresspool", "default", "--type=merge", '--patch={"spec": {"assignment": "Paused"}}')
    with pytest.raises(HelmError, match=f"pod {TEST} failed"):
        helm("test")
    told = lab.log(TEST, NAMESPACE)
    assert "still waiting for an address (PoolPaused: " in told
    assert not lab.items("services", f"--namespace={NAMESPACE}", OWN), "the Service is deleted all the same"
    lab.kubectl("patch", "addresspool", "default", "--type=merge", '--patch={"spec": {"assignment": "Automatic"}}')
    assert "Phase:          Succeeded" in helm("test")
    assert _left_by_hooks(lab) == set(), "also of the test that failed"

    # Uninstalled: nothing is left but what was said to be kept.
    shown = herald.shown("shop", "web")
    said = helm("uninstall", "--wait")
    assert "kept due to the resource policy" in said
    assert "[AddressPool] default" in said
    for node in lab.nodes.values():
        wait_for(f"no rule on {node.name}", lambda node=node: "herald" not in _tables(node), PATIENCE)  # type: ignore[misc]
    assert _left(lab) == {"addresspool.heraldlb.io/default"}
    assert herald.shown("shop", "web") == shown


def _tables(node: object) -> str:
    return str(node.exec(["nft", "list", "tables"]).stdout)  # type: ignore[attr-defined]


def _left(lab: Lab) -> set[str]:
    """Everything in the cluster that carries the release's name."""
    kinds = lab.kubectl("api-resources", "--verbs=list", "--output=name").split()
    listed = [kind for kind in kinds if not kind.startswith(("events", "componentstatuses"))]
    return set(lab.kubectl("get", ",".join(listed), "--all-namespaces", "--output=name", OWN).split())


def _left_by_hooks(lab: Lab) -> set[str]:
    return {name for name in _left(lab) if name.endswith(("-crds", "-test"))}
