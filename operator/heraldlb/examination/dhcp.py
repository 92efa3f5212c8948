"""Asks a link for DHCP servers (RFC 2131), as a new host would that then takes none of their offers.

One DHCPDISCOVER, from no address and with the broadcast flag, by packet socket: the UDP port may be a DHCP client's
of the node. No state is kept, here or, but for a moment's reservation, at the servers.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Any, Final

from pyroute2.dhcp import messages
from pyroute2.dhcp.dhcp4socket import AsyncDHCP4Socket
from pyroute2.dhcp.enums.dhcp import MessageType, Option

from heraldlb.examination.survey import DhcpOffer

log = logging.getLogger(__name__)

LISTEN: Final = 4.0
"""Seconds for which offers are listened for. dnsmasq, which many home routers run, pings an address for three
before it offers it to a host that it does not know."""

MAX_OFFERS: Final = 16
"""Of one link. Bounds what a host gone mad can have told."""

_PARAMETERS: Final = (Option.SUBNET_MASK, Option.ROUTER)


async def discover(link: str) -> tuple[DhcpOffer, ...]:
    """The offers that come to the link of this name. Raises OSError."""
    found: dict[DhcpOffer, None] = {}
    async with AsyncDHCP4Socket(link) as opened:
        question = messages.discover(_PARAMETERS)
        question.dhcp["xid"] = number = secrets.randbits(32)
        await opened.put(question)
        with suppress(TimeoutError):
            async with asyncio.timeout(LISTEN):
                while len(found) < MAX_OFFERS:
                    found |= dict.fromkeys(_offers(await _next(opened), number, link))
    return tuple(found)


async def _next(opened: Any) -> Any:
    while True:
        try:
            return await opened.get()
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - what a stranger sent can break a decoder in many ways
            log.debug("a DHCP message that cannot be read: %s", error)


def _offers(message: Any, number: int, link: str) -> Iterator[DhcpOffer]:
    """The offer that a message is, if it is one, and answers our question."""
    options = message.dhcp["options"]
    if message.dhcp["xid"] != number or options.get("message_type") is not MessageType.OFFER:
        return
    routers = options.get("router") or [None]
    yield DhcpOffer(
        server=IPv4Address(options.get("server_id") or message.ip_src),
        mac=message.eth_src,
        offered=IPv4Address(message.dhcp["yiaddr"]),
        mask=options.get("subnet_mask") or "",
        router=IPv4Address(routers[0]) if routers[0] is not None else None,
        link=link,
    )
