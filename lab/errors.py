"""The root of what the lab raises for its user to read."""

from __future__ import annotations


class LabError(RuntimeError):
    """Something the user of the lab can act on; the message says what is wrong and what to do."""
