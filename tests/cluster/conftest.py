"""A real API server for the whole session, without nodes. Tests clean up what they make in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.api_server import ApiServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running
