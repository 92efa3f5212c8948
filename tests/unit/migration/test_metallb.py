from __future__ import annotations

from heraldlb.migration.notes import Kind
from tests.unit.migration.reading import converted

OBJECTS = """
    apiVersion: metallb.io/v1beta1
    kind: IPAddressPool
    metadata:
      name: tenants
      namespace: metallb-system
      uid: 4d4dd6bf
      labels:
        zone: east
        app.kubernetes.io/managed-by: Helm
      annotations:
        kubectl.kubernetes.io/last-applied-configuration: "{}"
    spec:
      addresses: [192.168.10.0/24]
      autoAssign: true
      avoidBuggyIPs: true
      serviceAllocation:
        priority: 50
        namespaces: [a]
        namespaceSelectors:
        - matchLabels: {team: red}
        - matchExpressions: [{key: tier, operator: Exists}]
        serviceSelectors:
        - matchLabels: {app: web}
        - matchExpressions: [{key: app, operator: In, values: [db]}]
    ---
    apiVersion: metallb.io/v1beta1
    kind: IPAddressPool
    metadata: {name: rest, namespace: metallb-system}
    spec:
      addresses: [192.168.11.1-192.168.11.9]
      autoAssign: false
      later: 1
    ---
    apiVersion: metallb.io/v1beta1
    kind: AddressPool
    metadata: {name: legacy, namespace: metallb-system}
    spec:
      protocol: bgp
      addresses: [192.168.12.0/24]
      bgpAdvertisements:
      - communities: [64512:1]
    ---
    apiVersion: metallb.io/v1beta1
    kind: L2Advertisement
    metadata: {name: east, namespace: metallb-system}
    spec:
      ipAddressPoolSelectors:
      - matchLabels: {zone: east}
      nodeSelectors:
      - matchLabels: {kubernetes.io/hostname: n1}
      - matchLabels: {kubernetes.io/hostname: n2}
      interfaces: [eth0, eth1]
      preferredNodeSelectors:
      - weight: 10
        preference:
          matchLabels: {fast: "yes"}
    ---
    apiVersion: metallb.io/v1beta2
    kind: BGPPeer
    metadata: {name: router, namespace: metallb-system}
    spec: {myASN: 64500, peerASN: 64501, peerAddress: 10.0.0.1}
    ---
    apiVersion: metallb.io/v1beta1
    kind: BGPAdvertisement
    metadata: {name: all, namespace: metallb-system}
    ---
    apiVersion: metallb.io/v1beta1
    kind: ServiceL2Status
    metadata: {name: l2-1, namespace: metallb-system}
"""


def test_pools_keep_whom_they_serve_and_the_order_in_which_they_are_tried() -> None:
    outcome = converted(OBJECTS, {"b": {"tier": "1"}, "c": {"team": "red"}, "d": {}})
    assert outcome.pools == {
        "tenants": {
            "addresses": ["192.168.10.0/24"],
            "excluded": ["192.168.10.0", "192.168.10.255"],
            "priority": 50,
            "namespaceSelector": {"matchLabels": {"team": "red"}},
            # One selector is all that there is room for: what the other one matches is named.
            "namespaces": ["a", "b"],
            "serviceSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "web"]}]},
        },
        "rest": {"addresses": ["192.168.11.1-192.168.11.9"], "assignment": "OnRequest"},
        "legacy": {"addresses": ["192.168.12.0/24"]},
    }


def test_an_advertisement_becomes_as_many_announcements_as_it_has_alternatives() -> None:
    assert converted(OBJECTS).announcements == {
        "east": {
            "addressPools": ["tenants"],
            "nodeSelector": {
                "matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1", "n2"]}]
            },
            "interfaces": {"include": ["eth0", "eth1"]},
            "nodePreferences": [{"weight": 10, "nodeSelector": {"matchLabels": {"fast": "yes"}}}],
        }
    }
    apart = OBJECTS.replace("{kubernetes.io/hostname: n2}", "{rack: r2}")
    assert [spec["nodeSelector"]["matchLabels"] for spec in converted(apart).announcements.values()] == [
        {"kubernetes.io/hostname": "n1"},
        {"rack": "r2"},
    ]


def test_what_is_not_carried_is_named_once_each() -> None:
    outcome = converted(OBJECTS)
    assert outcome.places(Kind.NOT_CARRIED) == [
        "8 metadata.labels.zone",
        "21 spec.serviceAllocation.namespaceSelectors[1]",
        "26 ",
        "32 spec.later",
        "38 spec.protocol",
        "41 spec.bgpAdvertisements[0]",
        "58 ",
        "63 ",
    ]
    [lonely] = [note for note in outcome.converted.notes if note.line == 26]
    assert lonely.title == "IPAddressPool metallb-system/rest"
    assert "no L2Advertisement names this pool" in lonely.why


def test_advertisements_that_restrict_nothing_need_no_object() -> None:
    everything = """
        apiVersion: metallb.io/v1beta1
        kind: L2Advertisement
        metadata: {name: all}
        ---
        apiVersion: metallb.io/v1beta1
        kind: L2Advertisement
        metadata: {name: some}
        spec: {nodeSelectors: [{matchLabels: {a: b}}]}
    """
    outcome = converted(everything)
    assert outcome.announcements == {}
    assert outcome.places(Kind.NOT_NEEDED) == ["1 ", "5 "]
    preferring = everything + "    preferredNodeSelectors: [{weight: 1, preference: {matchLabels: {a: b}}}]\n"
    assert preferring.count("preferred") == 1
    selective = converted(everything.replace("name: all", "name: all}\n        spec: {ipAddressPools: [x]"))
    assert list(selective.announcements) == ["all", "some"]


def test_pools_that_name_whom_they_serve_come_before_all_others_and_priority_0_is_the_last_of_them() -> None:
    pools = """
        apiVersion: metallb.io/v1beta1
        kind: IPAddressPool
        metadata: {name: first}
        spec: {addresses: [10.0.1.0/24], serviceAllocation: {priority: 300}}
        ---
        apiVersion: metallb.io/v1beta1
        kind: IPAddressPool
        metadata: {name: second}
        spec: {addresses: [10.0.2.0/24], serviceAllocation: {namespaces: [a]}}
        ---
        apiVersion: metallb.io/v1beta1
        kind: IPAddressPool
        metadata: {name: third}
        spec: {addresses: [10.0.3.0/24]}
    """
    specs = converted(pools).pools
    assert [specs[name]["priority"] for name in ("first", "second", "third")] == [300, 301, 302]


def test_an_advertisement_whose_selectors_match_no_pool_announces_nothing() -> None:
    nothing = """
        apiVersion: metallb.io/v1beta1
        kind: L2Advertisement
        metadata: {name: none}
        spec: {ipAddressPoolSelectors: [{matchLabels: {zone: west}}]}
    """
    outcome = converted(nothing)
    assert outcome.announcements == {}
    assert "matches no pool" in outcome.why("")
