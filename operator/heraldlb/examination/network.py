"""Asks the network segments of a node what facts cannot tell: who has addresses, and which DHCP servers there are.

Nothing of the speaker is used but its codecs: sockets of its own, on the caller's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

from heraldlb.api.ranges import IPAddress
from heraldlb.examination.dhcp import ask_servers
from heraldlb.examination.facts import LinkFacts
from heraldlb.examination.probing import probe
from heraldlb.examination.survey import Answerer, DhcpOffer, Question, Survey, Trouble
from heraldlb.examination.targets import targets

T = TypeVar("T")


async def survey(question: Question, links: Iterable[LinkFacts], in_use: Callable[[IPAddress], bool]) -> Survey:
    """The answer to a question, after a few seconds. A link that cannot be asked does not keep the others from it.

    `in_use`: by Herald, on whatever node; such addresses are not probed. However this ends, it leaves nothing.
    """
    by_name = {link.name: link for link in links}
    wanted = targets(question.probe, by_name.values(), in_use)
    dhcp_links = [link.name for link in by_name.values() if link.announces and question.dhcp]
    answerers: list[Answerer] = []
    offers: list[DhcpOffer] = []
    troubles: list[Trouble] = []

    async def ask(link: str, asking: Callable[[], Awaitable[Iterable[T]]], into: list[T]) -> None:
        try:
            into += await asking()
        except OSError as error:
            troubles.append(Trouble(link, error.strerror or str(error)))

    async with asyncio.TaskGroup() as tasks:
        for name, addresses in wanted.by_link.items():
            tasks.create_task(ask(name, partial(probe, by_name[name], addresses), answerers))
        for name in dhcp_links:
            tasks.create_task(ask(name, partial(ask_servers, by_name[name]), offers))
    return Survey(
        probed=sum(map(len, wanted.by_link.values())),
        answerers=tuple(sorted(answerers, key=lambda each: (str(each.address), each.mac))),
        skipped=wanted.skipped,
        dhcp_links=tuple(dhcp_links),
        offers=tuple(offers),
        troubles=tuple(troubles),
    )
