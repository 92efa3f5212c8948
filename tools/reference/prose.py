"""What the page says by hand, section by section. Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

INTRODUCTION: Final = """\
<!-- Made by `./dev docs` from the code and from crds/. Edit those, not this page. -->

# Reference

Everything that Herald reads from you and tells you. To begin, you need one [AddressPool](#addresspool) and a
Service of `type: LoadBalancer`; all else on this page is optional.

**Looking for the word in `kubectl describe service`?** Each has an entry under [Reasons](#reasons).

[Annotations](#annotations) · [Service fields](#service-fields) · [AddressPool](#addresspool) ·
[L2Announcement](#l2announcement) · [ServiceAddress](#serviceaddress) · [Conditions](#conditions) ·
[Events](#events) · [Reasons](#reasons) · [Command line](#command-line) · [Metrics](#metrics)"""

ANNOTATIONS: Final = """\
On a Service, all optional. They say which address you want; what cannot be met is refused with a
[reason](#reasons), and the Service keeps the address that it has.

The annotations of MetalLB and Cilium for the same wishes are read as well, so that existing manifests work
unchanged. If a Service carries several names for one wish, they must agree. Turn this off with
`annotationAliases: false` in the chart, or `--no-annotation-aliases`."""

SERVICE_FIELDS: Final = """\
What Herald makes of the standard fields of a Service. The *controller* gives addresses, the *speaker* announces
them, and the *forwarder* takes connections to pods. Where kube-proxy forwards and agents have only the role
`speaker`, kube-proxy does the forwarder's part."""

SERVICE_STATUS: Final = """\
The controller writes `status.loadBalancer.ingress`, each address as `ip` with `ipMode: VIP`, and the condition
`heraldlb.io/AddressAssigned` in `status.conditions`. Herald changes nothing else on a Service."""

KINDS: Final[Mapping[str, str]] = {
    "AddressPool": """\
The addresses that you let Herald give away. Take addresses of the network that your nodes are on, which nothing
else uses: no host, and no DHCP server's range. Only `spec.addresses` is needed; [an
example](../examples/addresspool.yaml). There may be many pools.""",
    "L2Announcement": """\
Optional. Without any, every address is announced from every node that may, on every interface whose network
holds the address. As soon as there is one, an address is announced only where an L2Announcement that matches
its pool and its Service allows it. Nodes labelled `node.kubernetes.io/exclude-from-external-load-balancers`
and cordoned nodes never announce, unless agents are told to ignore that (`agent.ignoreExcludeLabel`,
`agent.ignoreCordon`).

With `balancing: PerClient` the nodes that may announce an address, of those preferred the most, share its clients
by their hardware addresses. What comes through a router comes as one client. When a node dies only its clients
move. The ServiceAddress names one of the nodes, and its condition `Announced` all of them; how the load spreads is
seen in `heraldlb_speaker_answers_total` of each node. Clients of an address that one node served until now spread
as they renew what they know, within a minute as Linux does.""",
    "ServiceAddress": """\
One for each address that is given or reserved, kept by Herald and named after the address (an IPv6 address as
its eight groups, joined by `-`). Read it to see who has an address and which node announces it; there is no need
to write one.""",
}

SHARED_TYPES: Final[Mapping[str, str]] = {
    "LabelSelector": "As everywhere in Kubernetes. All requirements must hold.",
    "Condition": "As everywhere in Kubernetes. The next section lists the types.",
}

CONDITIONS: Final = """\
What holds of an object now, in `status.conditions`; `kubectl describe` shows them with a message, but not a
Service's: `kubectl get service NAME -o yaml`. To wait for
one: `kubectl wait addresspool/lan --for=condition=Ready`."""

EVENTS: Final = """\
What happened, as `kubectl describe` of the object lists it. Events come from `heraldlb.io/controller` or
`heraldlb.io/agent`, and are written when something changes, not over and over."""

REASONS: Final = """\
One word for why an address was, or was not, given or announced. It is the same word as a condition's `reason`,
as an Event's and as a label of metrics. The message beside it has the particulars: it goes through the pools
that were considered and says of each why it did not serve; where several say no, the reason is that of the pool
that came nearest."""

COMMAND_LINE: Final = """\
The Python package brings `kubectl-herald`; where that is on the `PATH`, kubectl runs it as `kubectl herald`. It
needs Python 3.11 or newer and kubectl's credentials; what those may not read it says, and tells the rest. Herald's
image has it, too: run in a controller's pod, by `kubectl exec`, it uses the rights of the controller, which may
not read pods, EndpointSlices and Events.

Tables are for people, and may change; `-o json` and `-o yaml` are for scripts, and get new fields but lose none.
Lines are wrapped and coloured on a terminal only, and not coloured where `NO_COLOR` is set."""

METRICS: Final = """\
For Prometheus, at `/metrics`: the controller on port 7472, each agent on port 7473, beside the usual metrics of
a Python process. Times are in seconds and sizes in single things; counters begin at 0 when the process does.

[Monitoring](monitoring.md) has the dashboard, the alerts and how to scrape, and what `/livez` and `/readyz`
beside them say."""

CONTROLLER_METRICS: Final = """\
The label `reason` is one of the [reasons](#reasons). A replica that stands by has no figures of pools and
waiting Services."""

AGENT_METRICS: Final = """\
The label `address` has as many values as the node announces addresses, and goes when the address does."""

METALLB_METRICS: Final = """\
Told besides with `metrics.metallbNames: true` in the chart, or `--metallb-metrics`, so that dashboards and alerts
made for MetalLB go on. What MetalLB tells of BGP and BFD has no counterpart. `metallb_k8s_client_*` come from the
controller only."""
