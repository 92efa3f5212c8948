"""The rules of announcing, worked out once for all that ask."""

from __future__ import annotations

from heraldlb.agent.announceable import Rules, rules
from heraldlb.agent.cluster import Cluster
from heraldlb.agent.settings import AgentSettings


class Rulebook:
    """The rules from the mirrors as they are."""

    def __init__(self, cluster: Cluster, settings: AgentSettings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._rules: Rules | None = None

    def rules(self) -> Rules:
        """The present rules."""
        if self._rules is None:
            self._rules = rules(
                self._cluster,
                ignore_exclude_label=self._settings.ignore_exclude_label,
                ignore_cordon=self._settings.ignore_cordon,
            )
        return self._rules

    def forget(self) -> None:
        """A Node or an L2Announcement has changed."""
        self._rules = None
