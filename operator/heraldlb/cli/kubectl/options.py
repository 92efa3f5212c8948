"""Options that commands share: the cluster to ask, and how the answer is printed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster to ask, as kubectl's own options say it; empty: as kubectl would find it."""

    kubeconfig: str = ""
    context: str = ""


class Format(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


def connected(command: F) -> Callable[..., Any]:
    """Adds `--kubeconfig` and `--context`; the command gets `target`, a Target."""

    @click.option(
        "--kubeconfig",
        default="",
        metavar="FILE",
        help="Credentials file. Default: as kubectl, $KUBECONFIG or ~/.kube/config.",
    )
    @click.option("--context", "context_name", default="", metavar="NAME", help="Context of it to use.")
    @functools.wraps(command)
    def with_target(kubeconfig: str, context_name: str, **given: Any) -> Any:
        return command(target=Target(kubeconfig, context_name), **given)

    return with_target


def printed(command: F) -> Callable[..., Any]:
    """Adds `--output`; the command gets `output`, a Format."""

    @click.option(
        "-o",
        "--output",
        type=click.Choice([each.value for each in Format]),
        default=Format.TABLE.value,
        show_default=True,
        help="How it is printed: wide adds columns, json and yaml hold all that is known.",
    )
    @functools.wraps(command)
    def with_format(output: str, **given: Any) -> Any:
        return command(output=Format(output), **given)

    return with_format


def in_namespace(meaning: str) -> Callable[[F], F]:
    """Adds `--namespace`; the command gets `namespace`, empty where it is not given. `meaning`: the help."""
    return click.option("-n", "--namespace", default="", metavar="NAME", help=meaning)
