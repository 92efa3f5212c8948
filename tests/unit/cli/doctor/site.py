"""A healthy site for examinations: three nodes on one segment, and ways to spoil it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from heraldlb.cli.kubectl.doctor.seen import Beside, Examined, Reading, Seen, Surveyed
from heraldlb.cli.kubectl.doctor.workloads import parse_workload
from heraldlb.cli.kubectl.installation import installation
from heraldlb.cli.kubectl.snapshot import Snapshot
from heraldlb.examination.facts import (
    AddressFacts,
    ForwardingFacts,
    LinkFacts,
    LinkKind,
    NodeFacts,
    PeerFacts,
    SpeakerFacts,
)
from heraldlb.examination.survey import Question, Survey
from tests.unit.cli.objects import NOW, WORKING, node

NODES = ("n1", "n2", "n3")
_ADDRESSES = dict(zip(NODES, ("192.168.1.11", "192.168.1.12", "192.168.1.13"), strict=True))
SETTINGS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.eth0.rp_filter": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.all.accept_redirects": "0",
}


def link(name: str = "eth0", *networks: str, own: str = "", router: str = "", **changes: Any) -> LinkFacts:
    """A cable on the LAN, unless something else is said."""
    made = LinkFacts(
        name=name,
        kind=LinkKind.ETHERNET.value,
        mac="02:00:00:00:00:01",
        mtu=1500,
        up=True,
        carrier=True,
        prefixes=tuple(ip_network(each) for each in networks or ("192.168.1.0/24",)),
        addresses=(ip_address(own),) if own else (),
        gateways=(ip_address(router),) if router else (),
        announces=True,
    )
    return replace(made, **changes)


def peer(name: str, **changes: Any) -> PeerFacts:
    """One that is heard as it should be."""
    made = PeerFacts(
        name=name,
        address=ip_address(_ADDRESSES[name]),
        alive=True,
        heard=True,
        expected=True,
        heard_ago=0.02,
        received_ago=0.02,
    )
    return replace(made, **changes)


def announced(address: str, **changes: Any) -> AddressFacts:
    """An address that clients ask for."""
    made = AddressFacts(
        address=ip_address(address), link="eth0", seconds=3600.0, requests=9, answers=9, announcements=70
    )
    return replace(made, **changes)


def facts(name: str, **changes: Any) -> NodeFacts:
    """Of a node that is in order; n2 announces an address."""
    speaker = SpeakerFacts(
        standing="ESTABLISHED",
        membership_port=7947,
        peers=tuple(peer(each) for each in NODES if each != name),
        addresses=(announced("192.168.1.240"),) if name == "n2" else (),
    )
    made = NodeFacts(
        node=name,
        version="0.1.0",
        kernel="6.1.0-18-amd64",
        clock=NOW,
        started=NOW - 3600,
        links=(link(own=_ADDRESSES[name], router="192.168.1.1"),),
        settings=SETTINGS,
        forwarding=ForwardingFacts(mode="auto", active=True),
        speaker=speaker,
    )
    return replace(made, **changes)


def examined(*told: NodeFacts, ahead: Mapping[str, float] | None = None) -> dict[str, Examined]:
    """Agents' answers, and by how many seconds their nodes' clocks are ahead."""
    return {each.node: Examined(each, Reading((ahead or {}).get(each.node, 0.0), 0.6)) for each in told}


def peered(name: str, **peers: Mapping[str, Any]) -> NodeFacts:
    """A node some of whose peers are not heard as they should be."""
    made = facts(name)
    changed = tuple(replace(each, **peers.get(each.name, {})) for each in made.speaker.peers)
    return replace(made, speaker=replace(made.speaker, peers=changed))


def linked(name: str, *links: LinkFacts) -> NodeFacts:
    """A node with these links."""
    return facts(name, links=links)


SNAPSHOT = replace(
    WORKING,
    nodes=tuple(
        node(name) | {"status": {"addresses": [{"type": "InternalIP", "address": address}]}}
        for name, address in _ADDRESSES.items()
    ),
)
HEALTHY = Seen(
    snapshot=SNAPSHOT,
    herald=installation(SNAPSHOT),
    version="0.1.0",
    examined=examined(*map(facts, NODES)),
    surveyed={"n1": Surveyed(Question((), dhcp=True), Survey(probed=9, dhcp_links=("eth0",)))},
    server=Reading(0.0, 0.5),
)


def told(*changed: NodeFacts, **ahead: float) -> Seen:
    """The site with other answers of these nodes' agents."""
    answers = {each.node: each for each in (*map(facts, NODES), *changed)}
    return replace(HEALTHY, examined=examined(*answers.values(), ahead=ahead))


def stored(**fields: Any) -> Seen:
    """The site with other objects."""
    snapshot: Snapshot = replace(SNAPSHOT, **fields)
    return replace(HEALTHY, snapshot=snapshot, herald=installation(snapshot))


def beside(*workloads: tuple[str, dict[str, Any]], seen: Seen = HEALTHY, **fields: Any) -> Seen:
    """The site with other workloads, each with its kind."""
    parsed = tuple(parse_workload(kind, raw) for kind, raw in workloads)
    return replace(seen, beside=Beside(workloads=parsed, **fields))


def workload(name: str, image: str, *arguments: str, namespace: str = "lb", **environment: str) -> dict[str, Any]:
    """The JSON of a Deployment or DaemonSet with one container."""
    container = {
        "name": "main",
        "image": image,
        "args": list(arguments),
        "env": [{"name": key, "value": value} for key, value in environment.items()],
    }
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
