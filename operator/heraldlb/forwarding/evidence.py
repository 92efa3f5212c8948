"""Gathers what shows other service proxies on this node: netlink, loopback and /proc. Reads, never writes."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import aiohttp

from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding import nftmessages as nf
from heraldlb.forwarding.netlink import open_socket
from heraldlb.forwarding.proxies import (
    FOREIGN_CHAINS,
    FOREIGN_LINKS,
    IPVS_LINK,
    KUBE_PROXY_METRICS,
    KUBE_ROUTER_LINK,
    OWN_TABLES,
    Chain,
    Evidence,
    Heartbeat,
    has_synced,
)

ANSWER_SECONDS: Final = 2.0
"""For which an answer on the loopback interface is waited for; a port that nobody has is refused at once."""

HEARTBEAT_LENGTH: Final = 4096
"""Octets of an answer that are read."""

_LEGACY_TABLES: Final = ("ip_tables_names", "ip6_tables_names")

_DATAGRAM: Final = 1 << 16
_FAMILIES: Final = {name: number for number, name in nl.NFPROTO.items()}


async def gather(*, closely: bool, proc: Path = Path("/proc")) -> Evidence:
    """What is there now. `closely`: also whether kube-proxy's rules are complete, which makes it write all of its
    metrics. Raises OSError where netlink is not to be had."""
    chains = frozenset(existing((*FOREIGN_CHAINS, *OWN_TABLES)))
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        said = await asyncio.gather(*(_ask(session, place) for place in Heartbeat))
        answers = {place: answer for place, answer in zip(Heartbeat, said, strict=True) if answer is not None}
        synced = await _synced(session) if closely and Heartbeat.KUBE_PROXY_MODE in answers else None
    return Evidence(
        chains=chains,
        legacy_nat=any("nat" in _lines(proc / "thread-self/net" / name) for name in _LEGACY_TABLES),
        links=_links(),
        answers=answers,
        synced=synced,
        arp_ignore=arp_ignored(proc / "sys/net/ipv4/conf"),
    )


def glance() -> tuple[frozenset[Chain], frozenset[str]]:
    """The part of it that comes and goes with others' rules, in a fraction of a millisecond. Raises OSError."""
    return frozenset(existing(FOREIGN_CHAINS)), _links()


def existing(chains: Iterable[Chain]) -> Iterator[Chain]:
    """Those of these that exist, by one question to the kernel for each: nothing else of foreign tables is read.

    Raises OSError.
    """
    with open_socket() as netlink:
        netlink.settimeout(ANSWER_SECONDS)
        netlink.bind((0, 0))
        for chain in chains:
            netlink.send(_question(chain))
            if _exists(netlink.recv(_DATAGRAM)):
                yield chain


def arp_ignored(conf: Path) -> bool:
    """Whether no interface but those of IPVS would have the kernel answer ARP for another's address; the effective
    value is the larger one of the interface's and that of `all` (the kernel's ip-sysctl)."""
    values = {path.parent.name: _number(path) for path in conf.glob("*/arp_ignore")}
    if values.get("all", 0) >= 1:
        return True
    others = values.keys() - {"all", "default", "lo", IPVS_LINK, KUBE_ROUTER_LINK}
    return all(values[name] >= 1 for name in others)


def _links() -> frozenset[str]:
    return FOREIGN_LINKS.intersection(name for _, name in socket.if_nameindex())


def _question(chain: Chain) -> bytes:
    family = _FAMILIES[chain.family]
    if chain.name:
        return nf.get(nf.GET_CHAIN, family, {nf.CHAIN_TABLE: chain.table, nf.CHAIN_NAME: chain.name})
    return nf.get(nf.GET_TABLE, family, {nf.TABLE_NAME: chain.table})


def _exists(reply: bytes) -> bool:
    message = next(nl.messages(reply))
    if message.type != nl.ERROR:
        return True
    error = nl.error_number(message)
    # A kernel that has not loaded nftables calls the question invalid, and has no table.
    if error in (errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(error, f"nftables: {os.strerror(error)}")


async def _ask(session: aiohttp.ClientSession, place: Heartbeat) -> str | None:
    """What is answered there, with whatever status; None: nothing."""
    try:
        async with session.get(str(place), allow_redirects=False) as response:
            # kube-proxy says 503 of itself while it lags or its node is being deleted: it lives.
            return (await response.content.read(HEARTBEAT_LENGTH)).decode(errors="replace")
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None


async def _synced(session: aiohttp.ClientSession) -> bool | None:
    try:
        async with session.get(KUBE_PROXY_METRICS, allow_redirects=False) as response:
            return has_synced((await response.text(errors="replace")).splitlines())
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
