"""`heraldlb cleanup`."""

from __future__ import annotations

import asyncio

import click

from heraldlb.forwarding import cleanup as tables
from heraldlb.forwarding import vxlan
from heraldlb.forwarding.nft import Nft, NftError


@click.command(short_help="Remove Herald's nftables tables and tunnel from this node.")
def cleanup() -> None:
    """Remove everything that Herald has in nftables from this node, and its tunnel to other nodes.

    For nodes that an uninstallation did not reach; an agent that still runs would make its tables anew. Needs
    CAP_NET_ADMIN in the node's own network namespace. Nothing of anybody else is touched.
    """
    try:
        asyncio.run(Nft().apply(tables.removal()))
        vxlan.remove()
    except (NftError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo("Nothing of Herald is left in this node's nftables, and no tunnel.")
