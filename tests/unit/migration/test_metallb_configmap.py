from __future__ import annotations

from heraldlb.migration.notes import Kind
from tests.unit.migration.reading import converted

CONFIG_MAP = """
    apiVersion: v1
    kind: ConfigMap
    metadata:
      namespace: metallb-system
      name: config
    data:
      config: |
        # What nobody reads needs no note.
        peers:
        - peer-address: 10.0.0.1
          peer-asn: 64501
          my-asn: 64500
          password: secret
        - peer-address: 10.0.0.2
          peer-asn: 64501
          my-asn: 64500
        bgp-communities:
          no-advertise: 65535:65282
        address-pools:
        - name: default
          protocol: layer2
          addresses:
          - 192.168.1.240-192.168.1.250
          - 192.168.2.17/28
          - 2001:db8::10 - 2001:db8::1f
        - name: Public_Pool
          protocol: bgp
          addresses:
          - 198.51.100.0/24
          - 198.51.100.8/29
          - nonsense
          auto-assign: false
          avoid-buggy-ips: true
          surprise: 1
          bgp-advertisements:
          - aggregation-length: 32
            communities:
            - 64512:1
          - aggregation-length: 24
"""


def test_pools_are_carried_whatever_announced_them() -> None:
    outcome = converted(CONFIG_MAP)
    assert outcome.pools == {
        "default": {
            "addresses": ["192.168.1.240-192.168.1.250", "192.168.2.16/28", "2001:db8::10-2001:db8::1f"],
        },
        "public-pool": {
            "addresses": ["198.51.100.0/24"],
            "assignment": "OnRequest",
            "excluded": ["198.51.100.0", "198.51.100.255"],
        },
    }
    assert outcome.announcements == {}


def test_every_line_that_is_not_carried_is_named_with_its_place_in_the_file() -> None:
    outcome = converted(CONFIG_MAP)
    assert outcome.places(Kind.NOT_CARRIED) == [
        "10 peers[0]",
        "14 peers[1]",
        "17 bgp-communities",
        "26 address-pools[1].name",
        "27 address-pools[1].protocol",
        "30 address-pools[1].addresses[1]",
        "31 address-pools[1].addresses[2]",
        "34 address-pools[1].surprise",
        "36 address-pools[1].bgp-advertisements[0]",
        "39 address-pools[1].bgp-advertisements[1]",
    ]
    assert outcome.places(Kind.CHANGED) == [
        "24 address-pools[0].addresses[1]",
        "33 address-pools[1].avoid-buggy-ips",
    ]
    assert "BGP" in outcome.why("peers[0]")
    assert '"nonsense" is not an IP address' in outcome.why("address-pools[1].addresses[2]")
    assert "overlaps 198.51.100.0/24" in outcome.why("address-pools[1].addresses[1]")
    assert not any("secret" in note.why for note in outcome.converted.notes)


def test_the_file_in_the_configmap_is_read_by_itself_and_in_quotes_too() -> None:
    bare = converted("address-pools: [{name: lan, protocol: layer2, addresses: [10.0.0.0/24], odd: 1}]")
    assert list(bare.pools) == ["lan"]
    assert bare.places(Kind.NOT_CARRIED) == ["1 address-pools[0].odd"]
    quoted = converted(
        r"""
        kind: ConfigMap
        metadata: {name: metallb}
        data:
          config: "address-pools:\n- name: lan\n  protocol: bgp\n  addresses: [10.0.0.0/24]\n"
        """
    )
    assert list(quoted.pools) == ["lan"]
    # Where lines cannot be told apart, it is the line of the whole.
    assert quoted.places(Kind.NOT_CARRIED) == ["4 address-pools[0].protocol"]


def test_more_addresses_to_avoid_than_can_be_listed_are_noted() -> None:
    outcome = converted(
        "address-pools: [{name: lan, protocol: layer2, avoid-buggy-ips: yes, addresses: [10.0.0.0/15]}]"
    )
    assert outcome.pools["lan"] == {"addresses": ["10.0.0.0/15"]}
    assert "spec.excluded" in outcome.why("address-pools[0].avoid-buggy-ips")
