"""`heraldlb apply-crds`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from heraldlb.cli import options
from heraldlb.installation import definitions
from heraldlb.kube import credentials
from heraldlb.kube.client import Api, ApiUnavailableError


@click.command(short_help="Bring the custom resource definitions of the cluster up to date.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@options.kubeconfig
@options.option("--timeout", type=options.Duration(), default="60s", help="For all of them together.")
def apply_crds(folder: Path, kubeconfig: str | None, timeout: float) -> None:
    """Apply the custom resource definitions in FOLDER, and wait until the cluster serves them.

    The chart runs this before an upgrade, since Helm installs definitions and never upgrades them.
    """
    try:
        asyncio.run(_apply(definitions.read(folder), kubeconfig, timeout))
    except TimeoutError:
        raise click.ClickException(f"the API server does not serve the definitions after {timeout:g} s") from None
    except (
        definitions.DefinitionError,
        ApiUnavailableError,
        credentials.CredentialsError,
        OSError,
    ) as error:
        raise click.ClickException(str(error)) from error


async def _apply(found: list[definitions.Definition], kubeconfig: str | None, seconds: float) -> None:
    async with asyncio.timeout(seconds), Api(await credentials.load(kubeconfig)) as api:
        await definitions.apply(api, found, click.echo)
