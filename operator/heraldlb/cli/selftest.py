"""`heraldlb selftest`."""

from __future__ import annotations

import asyncio

import click

from heraldlb.cli import options
from heraldlb.installation.selftest import SelfTest, SelfTestError
from heraldlb.installation.service import Pod
from heraldlb.kube import credentials
from heraldlb.kube.client import Api, ApiError, ApiUnavailableError


def _labels(ctx: click.Context, param: click.Parameter, value: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in value.split(",")]
    if not all(key and equals for key, equals, _ in pairs):
        raise click.BadParameter(f'"{value}" is not KEY=VALUE,...', ctx, param)
    return {key: label for key, _, label in pairs}


@click.command(short_help="Make a Service, reach it and delete it.")
@options.kubeconfig
@options.option("--pod-namespace", envvar="HERALD_POD_NAMESPACE", required=True, help="Namespace of this pod.")
@options.option("--pod-name", envvar="HERALD_POD_NAME", required=True, help="Its name, and the Service's.")
@options.option("--pod-uid", envvar="HERALD_POD_UID", required=True, help="Its UID; the Service goes with it.")
@options.option(
    "--pod-labels",
    envvar="HERALD_POD_LABELS",
    required=True,
    callback=_labels,
    help="Labels that no other pod of the namespace has, as KEY=VALUE,...",
)
@options.option(
    "--load-balancer-class",
    envvar="HERALD_LOAD_BALANCER_CLASS",
    default="",
    help="spec.loadBalancerClass of the Service. Default: none.",
)
@options.option(
    "--speaker/--no-speaker",
    envvar="HERALD_SPEAKER",
    default=True,
    help="Whether Herald's agents announce addresses.",
)
@options.option(
    "--timeout", envvar="HERALD_TIMEOUT", type=options.Duration(), default="60s", help="Until it is to be reached."
)
def selftest(
    kubeconfig: str | None,
    pod_namespace: str,
    pod_name: str,
    pod_uid: str,
    pod_labels: dict[str, str],
    load_balancer_class: str,
    speaker: bool,
    timeout: float,
) -> None:
    """Make a Service that leads to this pod, wait for its addresses, reach each, and delete it.

    `helm test` runs this. Where it fails it says what it waited for, and what Herald said to that.
    """
    pod = Pod(pod_namespace, pod_name, pod_uid, pod_labels)
    try:
        asyncio.run(_run(kubeconfig, pod, load_balancer_class, speaker, timeout))
    except (SelfTestError, ApiError, ApiUnavailableError, credentials.CredentialsError) as error:
        raise click.ClickException(str(error)) from error


async def _run(kubeconfig: str | None, pod: Pod, load_balancer_class: str, speaker: bool, seconds: float) -> None:
    async with Api(await credentials.load(kubeconfig)) as api:
        await SelfTest(api, pod, load_balancer_class, speaker, click.echo).run(seconds)
