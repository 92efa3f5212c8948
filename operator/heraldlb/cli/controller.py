"""`heraldlb controller`."""

from __future__ import annotations

import socket
from typing import Any

import click

from heraldlb.api.group import LOAD_BALANCER_CLASS
from heraldlb.cli import options
from heraldlb.controller import process
from heraldlb.controller.settings import ControllerSettings
from heraldlb.kube.credentials import namespace_of_pod
from heraldlb.kube.lease import LeaseSettings


@click.command(short_help="Assign addresses of AddressPools to Services.")
@options.shared(metrics_port=7472)
@options.option(
    "--load-balancer-class",
    envvar="HERALD_LOAD_BALANCER_CLASS",
    default=LOAD_BALANCER_CLASS,
    help="Serve Services of this spec.loadBalancerClass.",
)
@options.option(
    "--default-class/--no-default-class",
    envvar="HERALD_DEFAULT_CLASS",
    default=True,
    help="Serve Services without a class as well.",
)
@options.option(
    "--annotation-aliases/--no-annotation-aliases",
    envvar="HERALD_ANNOTATION_ALIASES",
    default=True,
    help="Read MetalLB's and Cilium's annotations on Services, too.",
)
@options.option(
    "--lease-namespace",
    envvar="HERALD_LEASE_NAMESPACE",
    help="Namespace of the Lease that decides which replica acts. Default: the pod's, else kube-system.",
)
@options.option("--lease-name", envvar="HERALD_LEASE_NAME", default="heraldlb-controller", help="Its name.")
@options.option("--identity", envvar="HERALD_IDENTITY", help="Name of this replica in it. Default: the host name.")
def controller(
    kubeconfig: str | None,
    load_balancer_class: str,
    default_class: bool,
    metrics_address: str,
    metallb_metrics: bool,
    log_level: str,
    log_format: Any,
    annotation_aliases: bool,
    lease_namespace: str | None,
    lease_name: str,
    identity: str | None,
) -> None:
    """Assign addresses of AddressPools to Services of type LoadBalancer.

    Of several replicas the one that holds the Lease acts; the others take over within seconds.
    """
    settings = ControllerSettings(load_balancer_class, default_class, annotation_aliases)
    lease = LeaseSettings(
        namespace=lease_namespace or namespace_of_pod("kube-system"),
        name=lease_name,
        identity=identity or socket.gethostname(),
    )
    around = process.ProcessSettings(kubeconfig or None, lease, metrics_address, metallb_metrics)
    options.run(lambda stop: process.run(settings, around, stop), log_level, log_format)
