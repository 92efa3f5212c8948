"""The story of a Service, told from objects alone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import click
import pytest

from heraldlb.api.explanations import HINDRANCES
from heraldlb.api.reasons import Hindrance
from heraldlb.cli.kubectl.explain.allocation import Answer
from heraldlb.cli.kubectl.explain.counters import Counters, parse_metrics
from heraldlb.cli.kubectl.explain.render import render
from heraldlb.cli.kubectl.explain.report import StoryReport, informants, with_answers
from heraldlb.cli.kubectl.installation import installation
from heraldlb.cli.kubectl.output import UNBOUNDED
from heraldlb.cli.kubectl.services.report import State
from tests.unit.cli.objects import (
    HERALD,
    LAN,
    WEB,
    WORKING,
    assigned,
    condition,
    endpoint_slice,
    event,
    lease,
    node,
    pod,
    pool,
    record,
    service,
    snapshot,
    story_of,
)

EXCLUDED = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}
POOL = "heraldlb.io/address-pool"
METRICS = """\
# TYPE heraldlb_speaker_announced gauge
heraldlb_speaker_announced{address="192.168.1.240"} 1.0
# TYPE heraldlb_speaker_requests_total counter
heraldlb_speaker_requests_total{address="192.168.1.240"} 7.0
# TYPE heraldlb_speaker_answers_total counter
heraldlb_speaker_answers_total{address="192.168.1.240"} 6.0
# TYPE heraldlb_forwarder_active gauge
heraldlb_forwarder_active{mode="auto",proxy="kube-proxy"} 0.0
"""


def answers(report: StoryReport, family: str = "IPv4") -> dict[str, tuple[Answer, tuple[str, ...]]]:
    [walk] = [walk for walk in report.allocation.walks if walk.family == family]
    return {each.pool: (each.answer, each.reasons) for each in walk.pools}


def hindered(report: StoryReport) -> dict[str, tuple[str, ...]]:
    [chapter] = report.addresses
    return {each.node: each.why for each in chapter.nodes if each.why}


def told(report: StoryReport, *, wide: bool = False, width: int = UNBOUNDED) -> str:
    return click.unstyle("\n".join(render(report, wide, width)))


def test_a_service_that_works_is_told_from_the_request_to_its_endpoints() -> None:
    happened = event("HandedOver", "web", "192.168.1.240 is announced by n2 on eth0, taken over from n1")
    found = replace(WORKING, events=(happened,))
    report = with_answers(story_of("web", found), {"n2": parse_metrics(METRICS)}, installation(found))

    assert (report.state, report.works) == (State.ANNOUNCED, True)
    assert (
        told(report)
        == """\
Service shop/web: Announced
  192.168.1.240 from pool "lan"

Request
  families: IPv4 (SingleStack)
  addresses: any, pool: any
  type: LoadBalancer, load balancer class: none, which Herald serves

Pools
  IPv4, in the order in which pools are tried:
    ✓ lan  gave 192.168.1.240
  so: AddressAssigned, which the controller says, too, since 1h

Address 192.168.1.240
  announced since 1h: n2 answers on eth0 with 02:00:00:00:00:01
    · n1  may take over, as far as objects say
    ✓ n2  announces it
    · n3  may take over, as far as objects say
  ARP requests at n2 since it announces it: 7 seen, 6 answered, 0 announcements

Forwarding
  ✓ 80/TCP http: 3 endpoints: 2 on n1, 1 on n3
  forwarded by kube-proxy on n2

Events
      1h ago  HandedOver: 192.168.1.240 is announced by n2 on eth0, taken over from n1

What next
  - Nothing is wrong. From a host of the same network: curl http://192.168.1.240:80/"""
    )


def test_pools_answer_one_by_one_in_the_order_in_which_they_are_tried() -> None:
    pools = (
        pool("paused", "10.0.0.0/30", priority=1, assignment="Paused"),
        pool("other", "10.0.1.0/30", priority=2, namespaces=["elsewhere"]),
        pool("first", "10.0.2.0/30", priority=3),
        LAN,
        pool("asked", "10.0.3.0/30", priority=200, assignment="OnRequest"),
    )
    report = story_of("web", replace(WORKING, pools=pools))
    assert list(answers(report).items()) == [
        ("paused", (Answer.REFUSES, ("PoolPaused",))),
        ("other", (Answer.REFUSES, ("NamespaceNotAllowed",))),
        ("first", (Answer.COULD, ())),
        ("lan", (Answer.GAVE, ())),
        ("asked", (Answer.REFUSES, ("PoolOnRequestOnly",))),
    ]
    assert report.allocation.agrees


def test_a_pool_that_is_not_asked_for_is_not_asked() -> None:
    waiting = service("new", annotations={POOL: "dmz"})
    pools = (LAN, pool("dmz", "10.0.0.1", namespaces=["elsewhere"]))
    report = story_of("new", snapshot(services=(waiting,), pools=pools))
    assert answers(report) == {
        "dmz": (Answer.REFUSES, ("NamespaceNotAllowed",)),
        "lan": (Answer.NOT_ASKED, ()),
    }


def test_a_full_pool_names_itself_exhausted_and_the_remedy_comes_first() -> None:
    message = 'no IPv4 address: pool "one": its one IPv4 address is assigned'
    late = service("late", said=assigned(message, "PoolExhausted", good=False))
    one = pool("one", "192.168.1.240")
    held = record("192.168.1.240", "one", "web", node="n1")
    report = story_of("late", snapshot(services=(WEB, late), records=(held,), pools=(one,)))
    assert (report.state, report.works, report.allocation.agrees) == (State.REFUSED, False, True)
    assert answers(report) == {"one": (Answer.REFUSES, ("PoolExhausted",))}
    assert report.advice[0].startswith("Add addresses to spec.addresses of the pool")


def test_a_request_that_cannot_be_read_asks_no_pool() -> None:
    report = story_of("odd", snapshot(services=(service("odd", annotations={"heraldlb.io/addresses": "ten"}),)))
    assert report.allocation.walks == ()
    assert report.allocation.decision is not None
    assert report.allocation.decision.reason == "InvalidRequest"
    assert "ten" in report.request.problem


def test_both_families_have_a_walk_of_their_own() -> None:
    dual = {"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "PreferDualStack"}
    report = story_of("new", snapshot(services=(service("new", **dual),)))
    assert answers(report, "IPv4") == {"lan": (Answer.GAVE, ())}
    assert answers(report, "IPv6") == {"lan": (Answer.REFUSES, ("FamilyUnavailable",))}
    assert "gives 192.168.1.240" in told(report)


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({}, "Ask again in a few seconds"),
        ({"leases": (lease("herald-controller-1", renewed="2026-01-01T00:30:00Z"),)}, "No controller acts"),
        ({"leases": ()}, "No controller acts"),
        ({"pods": (pod("controller", "c", "n1", ready=False),)}, "No controller is ready"),
    ],
    ids=["not yet", "expired", "no lease", "not ready"],
)
def test_where_the_controller_has_not_said_what_follows_the_first_question_is_whether_it_runs(
    changed: dict[str, Any], advice: str
) -> None:
    report = story_of("new", snapshot(services=(service("new"),), **changed))
    assert report.state is State.PENDING
    assert not report.allocation.agrees
    assert report.advice[0].startswith(advice)


@pytest.mark.parametrize(
    ("settings", "arguments", "served"),
    [
        ({}, (), False),
        ({"HERALD_LOAD_BALANCER_CLASS": "example.com/lb"}, (), True),
        ({}, ("--load-balancer-class=example.com/lb",), True),
        ({"HERALD_LOAD_BALANCER_CLASS": "example.com/other"}, ("--load-balancer-class", "example.com/lb"), True),
    ],
    ids=["default", "by environment", "by argument", "argument before environment"],
)
def test_the_class_that_controllers_were_told_decides_whom_herald_serves(
    settings: dict[str, str], arguments: tuple[str, ...], served: bool
) -> None:
    other = service("other", loadBalancerClass="example.com/lb")
    controller = pod("controller", "c", "n1", arguments=arguments, **settings)
    report = story_of("other", snapshot(services=(other,), pods=(controller,)))
    assert report.request.served is served
    assert (report.state is State.FOREIGN) is not served
    assert report.advice[0].startswith("Ask again" if served else "Herald leaves it alone")


def test_controllers_told_not_to_serve_services_without_a_class_are_believed() -> None:
    controller = pod("controller", "c", "n1", arguments=("--no-default-class", "--log-level", "debug"))
    assert not story_of("web", replace(WORKING, pods=(controller,))).request.served


def test_what_keeps_each_node_from_announcing_is_said_of_it() -> None:
    nodes = (
        node("n1", unschedulable=True),
        node("n2"),
        node("n3", labels=EXCLUDED),
        node("n4"),
        node("n5"),
    )
    pods = (*HERALD["pods"], pod("agent", "a4", "n4", ready=False, waiting="CrashLoopBackOff"))
    report = story_of("web", replace(WORKING, nodes=nodes, pods=pods))
    assert hindered(report) == {
        "n1": ("cordoned",),
        "n3": (f"labelled {next(iter(EXCLUDED))}",),
        "n4": ("its agent is not ready (CrashLoopBackOff)",),
        "n5": ("no agent runs on it",),
    }


@pytest.mark.parametrize(
    "told",
    [
        {"HERALD_IGNORE_CORDON": "true", "HERALD_IGNORE_EXCLUDE_LABEL": "true"},
        {"arguments": ("--ignore-cordon", "--ignore-exclude-label"), "HERALD_IGNORE_CORDON": "false"},
    ],
    ids=["by environment", "by arguments"],
)
def test_agents_told_to_ignore_cordons_and_labels_are_believed(told: dict[str, Any]) -> None:
    agents = [pod("agent", f"a{name}", name, **told) for name in ("n1", "n2", "n3")]
    nodes = (node("n1", unschedulable=True), node("n2"), node("n3", labels=EXCLUDED))
    assert hindered(story_of("web", replace(WORKING, nodes=nodes, pods=tuple(agents)))) == {}


def test_with_a_local_policy_only_nodes_with_endpoints_may_announce() -> None:
    local = service("web", "192.168.1.240", externalTrafficPolicy="Local")
    report = story_of("web", replace(WORKING, services=(local,), records=(record("192.168.1.240", "lan", "web"),)))
    assert hindered(report) == {"n2": ("no ready endpoint of the Service on it (externalTrafficPolicy: Local)",)}
    assert report.forwarding.local


def test_a_policy_that_covers_the_address_keeps_other_nodes_out() -> None:
    policy = {
        "metadata": {"name": "edge", "resourceVersion": "1"},
        "spec": {"nodeSelector": {"matchLabels": {"edge": "yes"}}, "balancing": "PerClient"},
    }
    nodes = (node("n1", labels={"edge": "yes"}), node("n2", labels={"edge": "yes"}), node("n3"))
    found = replace(WORKING, announcements=(policy,), nodes=nodes)
    report = story_of("web", found)
    assert report.addresses[0].policies == ("edge",)
    assert {each.node: str(each.standing) for each in report.addresses[0].nodes} == {
        "n1": "Shares",
        "n2": "Announces",
        "n3": "MayNot",
    }
    assert informants(report, installation(found)) == ["n1", "n2"]


def test_a_service_without_endpoints_is_told_which_pods_it_looks_for() -> None:
    silent = condition("Announced", "False", "NoEligibleNode", "no node can announce it")
    held = record("192.168.1.240", "lan", "web", conditions=[silent])
    report = story_of("web", replace(WORKING, records=(held,), slices=()))
    assert (report.state, report.works) == (State.SILENT, False)
    assert hindered(report) == dict.fromkeys(("n1", "n2", "n3"), ("the Service has no ready endpoint",))
    assert "kubectl get pods -n shop -l app=web" in report.forwarding.ports[0].problem
    assert report.advice == (f"Have a ready pod behind the Service: {report.forwarding.ports[0].problem}.",)


def test_what_only_agents_know_of_a_node_is_taken_from_their_words_and_the_nearest_nodes_are_helped_first() -> None:
    no_prefix = HINDRANCES[Hindrance.NO_PREFIX]
    words = f"no node can announce it (n1, n3: {no_prefix}; n2: cordoned, {no_prefix})"
    held = record(
        "192.168.1.240", "lan", "web", conditions=[condition("Announced", "False", "NoEligibleNode", words)]
    )
    nodes = (node("n1"), node("n2", unschedulable=True), node("n3"))
    report = story_of("web", replace(WORKING, records=(held,), nodes=nodes))
    assert hindered(report) == {"n1": (no_prefix,), "n2": ("cordoned", no_prefix), "n3": (no_prefix,)}
    assert report.advice == (
        "Give n1, n3 an address of the network of 192.168.1.240, or move the pool to one of theirs.",
    )


def test_what_agents_said_and_objects_deny_by_now_is_not_repeated() -> None:
    held = record(
        "192.168.1.240",
        "lan",
        "web",
        conditions=[condition("Announced", "False", "NoEligibleNode", "no node can announce it (n1: cordoned)")],
    )
    report = story_of("web", replace(WORKING, records=(held,)))
    assert hindered(report) == {}
    assert report.advice[0].startswith("Ask again in a few seconds")


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (endpoint_slice("web", {"10.1.1.1": "n1"}, ready=False, serving=False), "1 pod of it, none ready"),
        (endpoint_slice("web", {"10.1.1.1": "n1"}, port_name="metrics"), "no pod has the port"),
    ],
    ids=["not ready", "another port"],
)
def test_a_port_that_reaches_nothing_is_a_service_that_does_not_work(found: dict[str, Any], problem: str) -> None:
    report = story_of("web", replace(WORKING, slices=(found,)))
    assert report.forwarding.ports[0].problem.startswith(problem)
    assert (report.state, report.works) == (State.ANNOUNCED, False)


def test_a_host_that_claims_the_address_is_told_and_what_to_do_about_it() -> None:
    claim = condition("Conflict", "True", "AddressConflict", "02:bb on eth0 claims 192.168.1.240, too")
    held = record("192.168.1.240", "lan", "web", node="n2", conditions=[claim])
    report = story_of("web", replace(WORKING, records=(held,)))
    assert (report.state, report.works) == (State.CONTESTED, False)
    assert report.addresses[0].contested == "02:bb on eth0 claims 192.168.1.240, too"
    assert report.advice[0].startswith("Find that host by the link-layer (MAC) address")


def test_those_who_share_the_address_are_named() -> None:
    held = record("192.168.1.240", "lan", "web", "mail", node="n2")
    report = story_of("web", replace(WORKING, records=(held,)))
    assert [str(each) for each in report.addresses[0].shared_with] == ["shop/mail"]
    assert "shared with shop/mail" in told(report)


def test_an_agent_that_could_not_be_asked_says_so_instead_of_nothing() -> None:
    report = with_answers(
        story_of("web", WORKING), {"n2": "the API server could not reach it"}, installation(WORKING)
    )
    assert report.addresses[0].unasked == {"n2": "the API server could not reach it"}
    assert "ARP requests seen and answered at n2: not known, the API server could not reach it" in told(report)


def test_no_request_seen_is_a_hint_that_something_filters_them() -> None:
    silent = METRICS.replace(" 7.0", " 0.0").replace(" 6.0", " 0.0")
    report = with_answers(story_of("web", WORKING), {"n2": parse_metrics(silent)}, installation(WORKING))
    assert any("filters ARP" in each for each in report.advice)


def test_metrics_are_read_by_address_and_tell_who_forwards() -> None:
    scrape = parse_metrics(METRICS)
    assert scrape.of(ip_address("192.168.1.240")) == Counters(7, 6, 0, 0)
    assert scrape.of(ip_address("192.168.1.241")) is None
    assert (scrape.forwards, scrape.proxy) == (False, "kube-proxy")


def test_what_may_not_be_read_is_left_out_and_said() -> None:
    unread = {"slices": "these credentials may not list them", "events": "nor these"}
    report = story_of("web", replace(WORKING, slices=(), unread=unread))
    assert report.works
    assert hindered(report) == {}
    text = told(report)
    assert "not known: these credentials may not list them" in text
    assert "not known: nor these" in text


def test_long_lines_go_on_below_where_there_is_a_terminal() -> None:
    report = story_of("web", WORKING)
    narrow = told(report, width=40)
    assert max(map(len, narrow.splitlines())) <= 40
    assert "    ✓ lan  gave 192.168.1.240\n" in narrow
    assert "  type: LoadBalancer, load balancer\n    class: none, which Herald serves\n" in narrow
    assert narrow.replace("\n", " ").split() == told(report).replace("\n", " ").split()


def test_of_many_nodes_the_one_that_announces_is_always_listed() -> None:
    nodes = tuple(node(f"m{number:03}") for number in range(200)) + HERALD["nodes"]
    text = told(story_of("web", replace(WORKING, nodes=nodes)))
    assert "✓ n2    announces it" in text
    assert "and 183 more nodes (-o wide)" in text
