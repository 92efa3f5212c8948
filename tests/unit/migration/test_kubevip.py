from __future__ import annotations

from heraldlb.migration.notes import Kind
from tests.unit.migration.reading import converted

CONFIG_MAP = """
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: kubevip
      namespace: kube-system
    data:
      cidr-global: 192.168.0.216/29,fd00::/120
      range-web: 192.168.1.10-192.168.1.19,192.168.1.30-192.168.1.39
      cidr-dhcp: 0.0.0.0/32
      interface-web: eth1
      interface-dhcp: eth2
      allow-share-web: "true"
      search-order: desc
      skip-end-ips-in-cidr: "true"
      note: by hand
"""


def test_a_namespace_with_a_pool_of_its_own_gets_nothing_of_the_common_one() -> None:
    assert converted(CONFIG_MAP).pools == {
        "kube-vip-web": {
            "addresses": ["192.168.1.10-192.168.1.19", "192.168.1.30-192.168.1.39"],
            "skipNetworkAndBroadcast": True,
            "namespaces": ["web"],
        },
        "kube-vip-global": {
            "addresses": ["192.168.0.216/29", "fd00::/120"],
            "skipNetworkAndBroadcast": True,
            "excluded": ["fd00::", "fd00::ff"],
            "namespaceSelector": {
                "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["web"]}]
            },
        },
    }


def test_interfaces_are_chosen_by_pool_and_pools_without_one_go_on_everywhere() -> None:
    assert converted(CONFIG_MAP).announcements == {
        "kube-vip-web": {"addressPools": ["kube-vip-web"], "interfaces": {"include": ["eth1"]}},
        "kube-vip-global": {"addressPools": ["kube-vip-global"]},
    }
    without = CONFIG_MAP.replace("interface-web: eth1", "")
    assert converted(without).announcements == {}


def test_every_key_that_is_not_carried_is_named() -> None:
    outcome = converted(CONFIG_MAP)
    assert outcome.places(Kind.NOT_CARRIED) == [
        "9 data.cidr-dhcp",
        "11 data.interface-dhcp",
        "12 data.allow-share-web",
        "13 data.search-order",
        "15 data.note",
    ]
    assert "DHCP" in outcome.why("data.cidr-dhcp")
