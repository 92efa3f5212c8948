"""A lab of three nodes for the whole session, and a namespace of its own for every test."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from lab.lab import Lab
from tests.lab.forwarding_net import Net, network
from tests.lab.speaker_net import Lan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session", name="lab")
def running_lab() -> Iterator[Lab]:
    """Tests heal what they cut, power on what they power off, and delete what they create."""
    with Lab(nodes=3) as lab:
        yield lab


@pytest.fixture
def namespace(lab: Lab) -> Iterator[str]:
    """Deleted, with all that is in it, after the test."""
    name = f"test-{secrets.token_hex(4)}"
    lab.create_namespace(name)
    yield name
    lab.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def lan() -> Iterator[Lan]:
    """A LAN without a cluster, on which speakers run by themselves."""
    made = Lan()
    try:
        made.build()
        yield made
    finally:
        made.close()


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    """A client, two nodes and their pods, on which forwarding is tried by itself."""
    with network() as built:
        try:
            yield built
        finally:
            await built.stop_servers()
