"""The few ways in which text is made to stand out. Pure."""

from __future__ import annotations

import click


def good(text: str) -> str:
    """As it should be."""
    return click.style(text, fg="green")


def doubtful(text: str) -> str:
    """Worth a look."""
    return click.style(text, fg="yellow")


def bad(text: str) -> str:
    """Not as it should be."""
    return click.style(text, fg="red", bold=True)


def heading(text: str) -> str:
    """Begins a part of the screen."""
    return click.style(text, bold=True)


def faint(text: str) -> str:
    """Beside the point, most of the time."""
    return click.style(text, dim=True)
