from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from heraldlb.migration.globs import glob_of
from heraldlb.migration.notes import Kind
from tests.unit.migration.reading import converted

OBJECTS = """
    apiVersion: cilium.io/v2alpha1
    kind: CiliumLoadBalancerIPPool
    metadata: {name: blue}
    spec:
      allowFirstLastIPs: "No"
      disabled: true
      blocks:
      - cidr: 20.0.10.0/24
      - cidr: 2004::0/64
      - start: 20.0.20.100
        stop: 20.0.20.200
      - start: 1.2.3.4
      serviceSelector:
        matchLabels:
          io.kubernetes.service.namespace: tenant-a
          color: blue
    ---
    apiVersion: cilium.io/v2
    kind: CiliumLoadBalancerIPPool
    metadata: {name: red}
    spec:
      blocks: [{cidr: 20.0.30.0/28}]
      serviceSelector:
        matchExpressions:
        - {key: io.kubernetes.service.namespace, operator: NotIn, values: [tenant-a]}
        - {key: color, operator: In, values: [red]}
    ---
    apiVersion: cilium.io/v2
    kind: CiliumLoadBalancerIPPool
    metadata: {name: one}
    spec:
      blocks: [{cidr: 20.0.40.1/32}]
      serviceSelector:
        matchLabels:
          io.kubernetes.service.name: special
    ---
    apiVersion: cilium.io/v2alpha1
    kind: CiliumL2AnnouncementPolicy
    metadata: {name: lan}
    spec:
      serviceSelector:
        matchLabels: {color: blue, io.kubernetes.service.namespace: tenant-a}
      nodeSelector:
        matchExpressions: [{key: node-role.kubernetes.io/control-plane, operator: DoesNotExist}]
      interfaces:
      - ^eth[0-9]+$
      - ^(en|wl)
      - ^bond0$
      externalIPs: true
      loadBalancerIPs: true
    ---
    apiVersion: cilium.io/v2alpha1
    kind: CiliumL2AnnouncementPolicy
    metadata: {name: external}
    spec: {externalIPs: true}
    ---
    apiVersion: cilium.io/v2alpha1
    kind: CiliumBGPPeeringPolicy
    metadata: {name: rack}
"""


def test_pools_keep_their_blocks_and_whom_they_serve() -> None:
    assert converted(OBJECTS).pools == {
        "blue": {
            "addresses": ["20.0.10.0/24", "2004::/64", "20.0.20.100-20.0.20.200", "1.2.3.4"],
            "skipNetworkAndBroadcast": True,
            "excluded": ["2004::", "2004::ffff:ffff:ffff:ffff"],
            "assignment": "Paused",
            "serviceSelector": {"matchLabels": {"color": "blue"}},
            "namespaces": ["tenant-a"],
        },
        "red": {
            "addresses": ["20.0.30.0/28"],
            "serviceSelector": {"matchExpressions": [{"key": "color", "operator": "In", "values": ["red"]}]},
            "namespaceSelector": {
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["tenant-a"]}
                ]
            },
        },
        # For one Service by its name: nobody else shall get it.
        "one": {"addresses": ["20.0.40.1/32"], "assignment": "OnRequest"},
    }


def test_policies_become_announcements_as_far_as_they_are_about_load_balancers() -> None:
    outcome = converted(OBJECTS)
    assert outcome.announcements == {
        "lan": {
            "serviceSelector": {"matchLabels": {"color": "blue"}},
            "nodeSelector": {
                "matchExpressions": [{"key": "node-role.kubernetes.io/control-plane", "operator": "DoesNotExist"}]
            },
            "interfaces": {"include": ["eth[0-9]*", "bond0"]},
        }
    }
    assert outcome.places(Kind.NOT_CARRIED) == [
        "33 spec.serviceSelector",
        "41 spec.serviceSelector",
        "47 spec.interfaces[1]",
        "49 spec.externalIPs",
        "52 ",
        "55 spec.externalIPs",
        "57 ",
    ]
    assert outcome.places(Kind.CHANGED) == ["46 spec.interfaces[0]"]


def test_without_a_policy_it_is_said_that_herald_announces() -> None:
    outcome = converted(OBJECTS.split("---")[0])
    assert "no CiliumL2AnnouncementPolicy announced it" in outcome.why("")


@pytest.mark.parametrize(
    "pattern", ["^eth0$", "eth0", "^eth", "^eth.$", "^eth.*$", r"^eth0\.100$", "^ens[0-9]$", r"^en\dp1$", "^.+$"]
)
def test_a_pattern_that_is_called_exact_matches_what_the_expression_does(pattern: str) -> None:
    glob, exact = glob_of(pattern)
    assert exact
    for name in ("eth0", "eth1", "eth", "veth0", "eth0.100", "eth0x100", "ens3", "ensx", "en5p1", "lo"):
        assert fnmatchcase(name, glob) == bool(re.search(pattern, name)), name


@pytest.mark.parametrize("pattern", ["^(a|b)$", "a|b", "^eth0?$", "[^a]", "(?i)eth"])
def test_an_expression_that_no_pattern_can_say_is_refused(pattern: str) -> None:
    assert glob_of(pattern) == ("", False)


@pytest.mark.parametrize("pattern", ["^eth[0-9]+$", "^ens[0-9]*", r"^x\d+y$"])
def test_a_pattern_that_is_not_exact_matches_more_and_never_less(pattern: str) -> None:
    glob, exact = glob_of(pattern)
    assert not exact
    for name in ("eth0", "eth12", "ens", "ens12", "x1y", "x123y"):
        assert fnmatchcase(name, glob) or not re.search(pattern, name), name
