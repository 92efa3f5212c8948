"""`heraldlb agent`."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import click

from heraldlb.agent import process
from heraldlb.agent.keyfile import KeyFileError
from heraldlb.agent.settings import ROLES, SPEAKER, AgentSettings
from heraldlb.api.objects import NamespacedName
from heraldlb.cli import options
from heraldlb.forwarding.mode import Mode
from heraldlb.forwarding.node import PRIMARY, ForwardingSettings
from heraldlb.forwarding.overlay import DEFAULT_ID, DEFAULT_PORT, MAX_ID, TunnelSettings
from heraldlb.forwarding.schedulers import Scheduler, SchedulingError, scheduler_named
from heraldlb.speaker import constants
from heraldlb.speaker.settings import SpeakerSettings


def _roles(ctx: click.Context, param: click.Parameter, value: str) -> frozenset[str]:
    roles = frozenset(part.strip() for part in value.split(",") if part.strip())
    if not roles or roles - set(ROLES):
        raise click.BadParameter(f'"{value}" must name one or both of: {", ".join(ROLES)}', ctx, param)
    return roles


def _scheduler(ctx: click.Context, param: click.Parameter, value: str) -> Scheduler:
    try:
        return scheduler_named(value)
    except SchedulingError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def _namespaced(ctx: click.Context, param: click.Parameter, value: str) -> NamespacedName | None:
    if not value:
        return None
    namespace, slash, name = value.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise click.BadParameter(f'"{value}" is not NAMESPACE/NAME', ctx, param)
    return NamespacedName(namespace, name)


@click.command(short_help="Announce addresses and forward Services on one node.")
@options.shared(metrics_port=7473)
@options.option(
    "--node-name", envvar="HERALD_NODE_NAME", help="Name of this node's Node object. Default: the host name."
)
@options.option(
    "--roles",
    envvar="HERALD_ROLES",
    default=",".join(ROLES),
    callback=_roles,
    help="What this agent does: speaker (ARP and NDP), forwarder (nftables), or both.",
)
@options.option(
    "--daemon-set",
    envvar="HERALD_DAEMON_SET",
    default="",
    callback=_namespaced,
    help="NAMESPACE/NAME of the DaemonSet that runs the agents: once it is deleted, their end leaves no rules.",
)
@options.option(
    "--membership-key-file",
    envvar="HERALD_MEMBERSHIP_KEY_FILE",
    default="",
    help="Secret that all agents share, one key a line; needed by the speaker.",
)
@options.option(
    "--membership-port",
    envvar="HERALD_MEMBERSHIP_PORT",
    type=click.IntRange(1, 65535),
    default=constants.MEMBERSHIP_PORT,
    help="UDP port of heartbeats between agents.",
)
@options.option(
    "--heartbeat-interval",
    envvar="HERALD_HEARTBEAT_INTERVAL",
    type=options.Duration(),
    default=f"{constants.HEARTBEAT_INTERVAL * 1000:g}ms",
    help="Time between heartbeats to each peer.",
)
@options.option(
    "--failure-timeout",
    envvar="HERALD_FAILURE_TIMEOUT",
    type=options.Duration(),
    default=f"{constants.FAILURE_TIMEOUT * 1000:g}ms",
    help="Silence after which a peer is dead and its addresses move; at least three intervals.",
)
@options.option(
    "--ignore-exclude-label",
    envvar="HERALD_IGNORE_EXCLUDE_LABEL",
    is_flag=True,
    help="Announce also from nodes labelled node.kubernetes.io/exclude-from-external-load-balancers.",
)
@options.option(
    "--ignore-cordon",
    envvar="HERALD_IGNORE_CORDON",
    is_flag=True,
    help="Announce also from nodes that are cordoned (spec.unschedulable).",
)
@options.option(
    "--answer-ping/--no-answer-ping",
    envvar="HERALD_ANSWER_PING",
    default=True,
    help="Answer ICMP echo requests to the addresses that are announced.",
)
@options.option(
    "--keep-connections/--no-keep-connections",
    envvar="HERALD_KEEP_CONNECTIONS",
    default=True,
    help="Let TCP connections under way follow an address that moves between living nodes.",
)
@options.option(
    "--forwarding-mode",
    envvar="HERALD_FORWARDING_MODE",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.AUTO.value,
    help="Forward Services: unless another service proxy does (auto), in any case (full), or never (off).",
)
@options.option(
    "--node-port-addresses",
    envvar="HERALD_NODE_PORT_ADDRESSES",
    default=PRIMARY,
    help="Where node ports are served: primary (the Node's first InternalIP of each family), or CIDRs with commas.",
)
@options.option(
    "--scheduler",
    envvar="HERALD_SCHEDULER",
    default=Scheduler.RANDOM.value,
    callback=_scheduler,
    help=f"How connections are spread where a Service does not say: {', '.join(Scheduler)}.",
)
@options.option(
    "--connection-survival/--no-connection-survival",
    envvar="HERALD_CONNECTION_SURVIVAL",
    default=False,
    help="Let connections outlive the node that announces their address, of Services that do not say.",
)
@options.option(
    "--tunnel-port",
    envvar="HERALD_TUNNEL_PORT",
    type=click.IntRange(1, 65_535),
    default=DEFAULT_PORT,
    help="UDP port of the tunnel between nodes that share no network segment, used where connections survive.",
)
@options.option(
    "--tunnel-id",
    envvar="HERALD_TUNNEL_ID",
    type=click.IntRange(1, MAX_ID),
    default=DEFAULT_ID,
    help="VXLAN network identifier of that tunnel.",
)
def agent(
    kubeconfig: str | None,
    metrics_address: str,
    metallb_metrics: bool,
    log_level: str,
    log_format: Any,
    node_name: str | None,
    roles: frozenset[str],
    daemon_set: NamespacedName | None,
    membership_key_file: str,
    membership_port: int,
    heartbeat_interval: float,
    failure_timeout: float,
    ignore_exclude_label: bool,
    ignore_cordon: bool,
    answer_ping: bool,
    keep_connections: bool,
    forwarding_mode: str,
    node_port_addresses: str,
    scheduler: Scheduler,
    connection_survival: bool,
    tunnel_port: int,
    tunnel_id: int,
) -> None:
    """Announce addresses on layer 2 and forward Services on one node.

    Needs CAP_NET_ADMIN, and for the speaker CAP_NET_RAW, in the node's own network namespace.
    """
    name = node_name or socket.gethostname()
    if SPEAKER in roles and not membership_key_file:
        raise click.UsageError(
            "--membership-key-file is needed by the speaker: create one with openssl rand -hex 32"
        )
    try:
        settings = AgentSettings(
            node_name=name,
            roles=roles,
            daemon_set=daemon_set,
            membership_key_file=membership_key_file,
            membership_port=membership_port,
            heartbeat_interval=heartbeat_interval,
            failure_timeout=failure_timeout,
            ignore_exclude_label=ignore_exclude_label,
            ignore_cordon=ignore_cordon,
            answer_ping=answer_ping,
            keep_connections=keep_connections,
            forwarding_mode=Mode(forwarding_mode),
            forwarding=ForwardingSettings(
                node_port_addresses=tuple(part.strip() for part in node_port_addresses.split(",") if part.strip()),
                scheduler=scheduler,
                connection_survival=connection_survival,
            ),
            tunnel=TunnelSettings(tunnel_port, tunnel_id),
        )
        SpeakerSettings(name, b"x" * 32, membership_port, heartbeat_interval, failure_timeout)
    except ValueError as error:
        raise click.UsageError(str(error)) from error

    async def run(stop: asyncio.Event) -> None:
        try:
            around = process.ProcessSettings(kubeconfig or None, metrics_address, metallb_metrics)
            await process.run(settings, around, stop)
        except KeyFileError as error:
            raise click.UsageError(str(error)) from error

    options.run(run, log_level, log_format)
