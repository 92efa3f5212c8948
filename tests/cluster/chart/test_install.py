"""`helm install` against a real API server: what one command makes, and what an upgrade keeps.

No pod runs: this is about the objects.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.cluster import Cluster, KubectlError
from tests.cluster.kubectl import Kubectl

CHART = Path(__file__).parents[3] / "charts" / "heraldlb"
NAMESPACE = f"chart-{secrets.token_hex(4)}"
RELEASE = "tried"
SETTINGS = ["--set=pool.addresses={192.168.1.240-192.168.1.250, fd00:1::/120}", "--set=pool.name=tried"]

Helm = Callable[..., str]


@pytest.fixture(scope="module")
def kubectl(api_server: Cluster) -> Kubectl:
    return Kubectl(api_server)


@pytest.fixture(scope="module")
def helm(api_server: Cluster, kubectl: Kubectl) -> Iterator[Helm]:
    def run(*arguments: str) -> str:
        return api_server.helm(f"--namespace={NAMESPACE}", *arguments)

    yield run
    run("uninstall", RELEASE, "--ignore-not-found")
    kubectl("delete", "addresspool", "tried", "--ignore-not-found")
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="module")
def installed(helm: Helm) -> str:
    """What Helm told the user who installed Herald with a pool, in one command, kinds and all."""
    return helm("install", RELEASE, str(CHART), "--create-namespace", *SETTINGS)


def test_one_command_installs_the_kinds_and_the_pool(installed: str, kubectl: Kubectl) -> None:
    entries = kubectl("get", "addresspool", "tried", "--output=jsonpath={.spec.addresses}")
    assert entries == '["192.168.1.240-192.168.1.250","fd00:1::/120"]'
    assert kubectl("get", "deployment,daemonset", f"--namespace={NAMESPACE}", "--output=name").split() == [
        "deployment.apps/tried-heraldlb-controller",
        "daemonset.apps/tried-heraldlb-agent",
    ]


def test_the_notes_say_what_to_do_next(installed: str) -> None:
    assert "kubectl expose deployment web --type=LoadBalancer --port=80" in installed
    assert 'The pool "tried" gives 192.168.1.240-192.168.1.250' in installed
    assert f"kubectl label namespace {NAMESPACE} pod-security.kubernetes.io/enforce=privileged" in installed


def test_an_upgrade_keeps_the_membership_key(installed: str, helm: Helm, kubectl: Kubectl) -> None:
    def key() -> str:
        path = "--output=jsonpath={.data.key}"
        return kubectl("get", "secret", "tried-heraldlb-membership", f"--namespace={NAMESPACE}", path)

    before = key()
    assert len(before) >= 64
    # No node runs the Job that brings the definitions up to date.
    helm("upgrade", RELEASE, str(CHART), "--no-hooks", "--reset-then-reuse-values", "--set=logging.level=debug")
    assert key() == before


def test_the_accounts_have_the_rights_that_their_work_takes(installed: str, kubectl: Kubectl) -> None:
    def may(account: str, verb: str, resource: str, *options: str) -> bool:
        subject = f"--as=system:serviceaccount:{NAMESPACE}:tried-heraldlb-{account}"
        try:
            return kubectl("auth", "can-i", verb, resource, subject, *options) == "yes\n"
        except KubectlError:
            return False

    own = f"--namespace={NAMESPACE}"
    assert may("controller", "patch", "services", "--subresource=status", "--all-namespaces")
    assert may("controller", "delete", "serviceaddresses.heraldlb.io")
    assert may("controller", "update", "leases.coordination.k8s.io/tried-heraldlb-controller", own)
    assert not may("controller", "update", "leases.coordination.k8s.io/another", own)
    assert not may("controller", "patch", "services", "--all-namespaces")
    assert not may("controller", "get", "secrets", own)
    assert may("agent", "watch", "endpointslices.discovery.k8s.io", "--all-namespaces")
    assert may("agent", "patch", "serviceaddresses.heraldlb.io", "--subresource=status")
    assert not may("agent", "patch", "serviceaddresses.heraldlb.io")
    assert not may("agent", "get", "secrets", own)


def test_an_uninstallation_keeps_the_pool_and_the_next_installation_takes_it_up(
    installed: str, helm: Helm, kubectl: Kubectl
) -> None:
    uid = "--output=jsonpath={.metadata.uid}"
    before = kubectl("get", "addresspool", "tried", uid)
    helm("uninstall", RELEASE)
    assert kubectl("get", "addresspool", "tried", uid) == before
    helm("install", RELEASE, str(CHART), *SETTINGS)
    assert kubectl("get", "addresspool", "tried", uid) == before
