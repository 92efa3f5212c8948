"""Why nobody announces an address, node by node and in words: what the speaker found and objects say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from heraldlb.agent.announceable import Rules, hindrances
from heraldlb.agent.cluster import Cluster
from heraldlb.api.explanations import HINDRANCES
from heraldlb.api.reasons import Hindrance
from heraldlb.api.serviceaddress import ServiceAddress
from heraldlb.speaker.election import Ineligible

_FOUND: Final[Mapping[Ineligible, tuple[Hindrance, ...]]] = {
    Ineligible.NOT_CANDIDATE: (),
    Ineligible.NOT_ALIVE: (Hindrance.NOT_HEARD,),
    Ineligible.NOT_SERVING: (Hindrance.NOT_SERVING,),
    Ineligible.NO_INTERFACE: (Hindrance.NO_INTERFACE,),
    Ineligible.NO_PREFIX: (Hindrance.NO_PREFIX,),
}
"""In the agent's words. For those that are no candidates, objects say why."""


_OPENING: Final = "no node can announce it ("


def refusal(
    cluster: Cluster, record: ServiceAddress, under: Rules, found: Mapping[str, Ineligible], silent: Iterable[str]
) -> str | None:
    """A message that names every node and what hinders it, or None where one is hindered no more.

    `found`: what the speaker says of each node. `silent`: nodes whose agent is not heard.
    """
    if not found:
        return "there is no node to announce it"
    by_objects = hindrances(cluster, record, under)
    not_heard = set(silent)
    nodes_by_words: dict[str, list[str]] = {}
    for name, reason in sorted(found.items()):
        hindered = {*by_objects.get(name, ()), *_FOUND[reason]}
        if not hindered:
            return None
        if name in not_heard:
            hindered.add(Hindrance.NOT_HEARD)
        words = ", ".join(words for hindrance, words in HINDRANCES.items() if hindrance in hindered)
        nodes_by_words.setdefault(words, []).append(name)
    listed = "; ".join(f"{', '.join(names)}: {words}" for words, names in nodes_by_words.items())
    return f"{_OPENING}{listed})"


def hindrances_told(message: str) -> dict[str, tuple[Hindrance, ...]]:
    """What a message of `refusal`, or one that ends with it, says of each node; nothing where it is no such."""
    _, opening, rest = message.partition(_OPENING)
    found: dict[str, tuple[Hindrance, ...]] = {}
    for part in rest.removesuffix(")").split("; ") if opening else ():
        names, _, words = part.partition(": ")
        told = tuple(hindrance for hindrance, text in HINDRANCES.items() if text in words)
        found |= dict.fromkeys(names.split(", "), told)
    return found
