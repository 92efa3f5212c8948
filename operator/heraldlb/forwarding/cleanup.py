"""Every table of ours, to be removed: the only place that names them all. Pure."""

from __future__ import annotations

from heraldlb.forwarding import detour, ping, ruleset, survivaltables, tunnelrules


def removal() -> str:
    """Text for `nft -f` that leaves nothing of Herald's in this network namespace, whatever there was."""
    modules = (ruleset, ping, detour, survivaltables, tunnelrules)
    return "".join(each.removal() for each in modules)
