"""Every check, in the order in which its findings are told."""

from __future__ import annotations

from typing import Final

from heraldlb.cli.kubectl.doctor.check import Check, every_node, kind, network, workloads
from heraldlb.cli.kubectl.doctor.checks import (
    access,
    clocks,
    herald,
    links,
    membership,
    placement,
    pools,
    requests,
    rivals,
    settings,
    strangers,
    versions,
)
from heraldlb.cli.kubectl.doctor.checks.rivaltable import SERVICE_LB

_PODS, _NODES, _LEASES = kind("pods"), kind("nodes"), kind("leases")

CHECKS: Final = (
    Check("the controller", herald.controllers, (_PODS, _LEASES)),
    Check("an agent on every node", herald.agents, (_PODS, _NODES)),
    Check("answers of the agents", herald.unasked, (_PODS,), of_nodes=True),
    Check("pools, as the controller judges them", herald.pools),
    Check("L2Announcements, as the controller judges them", herald.announcements),
    Check("Services", herald.services),
    Check("nodes that may announce: labels, cordons, conditions", placement.nobody, (_NODES,)),
    Check("interfaces that L2Announcements leave", placement.without_interface, (every_node,)),
    Check("pools within the nodes' networks", pools.out_of_reach, (every_node,)),
    Check(
        "addresses of nodes, routers and networks in pools",
        pools.not_to_be_given,
        (every_node, _NODES),
    ),
    Check("pools beside the pods' networks", pools.inside_the_cluster, (_NODES,)),
    Check("hosts that were quarantined", strangers.quarantined),
    Check("hosts that have addresses of a pool", strangers.squatters, (network,), True, strangers.tried),
    Check("others' claims to announced addresses", strangers.claims, (every_node,), of_nodes=True),
    Check("DHCP servers", strangers.dhcp, (network,), True, strangers.asked),
    Check("heartbeats between agents", membership.unheard, (every_node,), of_nodes=True),
    Check("nodes that are cut off", membership.isolated, (every_node,), of_nodes=True),
    Check("addresses for heartbeats", membership.unreachable, (every_node,), of_nodes=True),
    Check("refused heartbeats: key, version", membership.refused, (every_node,), of_nodes=True),
    Check("the tunnel between segments", lambda _: (), (membership.tunnel,), of_nodes=True),
    Check("kernel settings, strictARP among them", settings.hindrances, (every_node,), of_nodes=True),
    Check("reverse path filters", settings.reverse_paths, (every_node,), of_nodes=True),
    Check("ICMP redirects", settings.redirects, (every_node,), of_nodes=True),
    Check("IPv6 on links", settings.ipv6_disabled, (every_node,), of_nodes=True),
    Check("wireless links", links.wireless, (every_node,), of_nodes=True),
    Check("carrier", links.without_carrier, (every_node,), of_nodes=True),
    Check("bridges, bonds, macvlan and ipvlan", links.misleading, (every_node,), of_nodes=True),
    Check("MTU", links.mtu, (every_node,)),
    Check("requests for announced addresses", requests.unrequested, (every_node,), of_nodes=True),
    Check("other load balancers", rivals.controllers, (workloads,)),
    Check(SERVICE_LB, rivals.service_lb, (workloads,)),
    Check("Cilium's LB-IPAM", rivals.cilium, (workloads,)),
    Check("what another load balancer left on Services", rivals.left_behind, (workloads,)),
    Check("others' writes to Services", rivals.host_names),
    Check("the nodes' clocks", clocks.of_nodes, (every_node, clocks.unknown_server), of_nodes=True),
    Check("this machine's clock", clocks.here, (clocks.unknown_server,)),
    Check("versions", versions.parts, (_PODS,)),
    Check("the agents' images", versions.behind_their_label, (every_node,), of_nodes=True),
    Check("the nodes' kernels", versions.kernels, (every_node,), of_nodes=True),
    Check("access", access.rights, of_nodes=True),
)
