"""Brings the custom resource definitions of a cluster up to date, which `helm upgrade` does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from heraldlb.api import conditions
from heraldlb.api.objects import entries, text
from heraldlb.kube.client import CUSTOM_RESOURCE_DEFINITIONS, Api, ApiError

FIELD_MANAGER: Final = "heraldlb-crds"
POLL_SECONDS: Final = 0.25

Definition = dict[str, Any]


class DefinitionError(Exception):
    """A file is no custom resource definition, or the cluster does not take it up; the message says which."""


def read(folder: Path) -> list[Definition]:
    """The definitions in the folder's `*.yaml`, by name. Raises DefinitionError, OSError."""
    found = [_parse(path) for path in sorted(folder.glob("*.yaml"))]
    if not found:
        raise DefinitionError(f"{folder} holds no file *.yaml")
    return found


async def apply(api: Api, definitions: Iterable[Definition], say: Callable[[str], None]) -> None:
    """Apply each server-side, taking over what Helm installed; return when the cluster serves them all.

    To be bounded in time by the caller. Raises DefinitionError, ApiError, ApiUnavailableError.
    """
    for definition in definitions:
        name = definition["metadata"]["name"]
        try:
            await api.apply(CUSTOM_RESOURCE_DEFINITIONS, name, definition, manager=FIELD_MANAGER)
            await _established(api, name)
        except ApiError as error:
            raise DefinitionError(f"{name}: {error}") from error
        say(f"{name} is up to date")


async def _established(api: Api, name: str) -> None:
    while True:
        status = entries(await api.get(CUSTOM_RESOURCE_DEFINITIONS, name), "status", "conditions")
        if conditions.is_true(status, "Established"):
            return
        await asyncio.sleep(POLL_SECONDS)


def _parse(path: Path) -> Definition:
    try:
        parsed = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise DefinitionError(f"{path}: {error}") from error
    if not isinstance(parsed, dict) or parsed.get("kind") != "CustomResourceDefinition":
        raise DefinitionError(f"{path} is no CustomResourceDefinition")
    if not text(parsed, "metadata", "name"):
        raise DefinitionError(f"{path}: metadata.name is missing")
    return parsed
