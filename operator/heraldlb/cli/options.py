"""Options that both processes share, and how a process runs until it is told to stop."""

from __future__ import annotations

import asyncio
import functools
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from heraldlb.api.addresspool import parse_duration
from heraldlb.cli.interpreter import tune
from heraldlb.kube.credentials import CredentialsError
from heraldlb.observability.health import split_address
from heraldlb.observability.logs import configure

F = TypeVar("F", bound=Callable[..., Any])


option = functools.partial(click.option, show_default=True, show_envvar=True)
"""An option whose help tells its default and its environment variable."""


class Duration(click.ParamType[float]):
    """A Kubernetes duration such as `100ms` or `1m30s`, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; fails on anything but a positive duration."""
        if isinstance(value, float):
            return value
        if not (seconds := parse_duration(str(value))):
            self.fail(f'"{value}" is not a positive duration such as 100ms, 2s or 1m30s', param, ctx)
        return seconds


def _address(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value:
        try:
            split_address(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error
    return value


kubeconfig = option(
    "--kubeconfig",
    envvar="KUBECONFIG",
    type=click.Path(dir_okay=False),
    help="Credentials file. Without it: the pod's ServiceAccount, then ~/.kube/config.",
)


def shared(metrics_port: int) -> Callable[[F], F]:
    """The options of connection, metrics and logging."""
    options = [
        kubeconfig,
        option(
            "--metrics-address",
            envvar="HERALD_METRICS_ADDRESS",
            default=f"[::]:{metrics_port}",
            callback=_address,
            help="HOST:PORT of /metrics, /livez and /readyz; empty: none.",
        ),
        option(
            "--metallb-metrics/--no-metallb-metrics",
            envvar="HERALD_METALLB_METRICS",
            default=False,
            help="Tell what MetalLB tells under its names as well, for dashboards that were made for it.",
        ),
        option(
            "--log-level",
            envvar="HERALD_LOG_LEVEL",
            type=click.Choice(["debug", "info", "warning", "error"]),
            default="info",
        ),
        option(
            "--log-format",
            envvar="HERALD_LOG_FORMAT",
            type=click.Choice(["text", "json"]),
            default="text",
        ),
    ]

    def decorate(function: F) -> F:
        for add in reversed(options):
            function = add(function)
        return function

    return decorate


def run(process: Callable[[asyncio.Event], Awaitable[None]], log_level: str, log_format: Any) -> None:
    """Run a process until SIGTERM or SIGINT; exits with 2 where it has no credentials."""
    configure(log_level, log_format)
    tune()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await process(stop)

    try:
        asyncio.run(main())
    except CredentialsError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
