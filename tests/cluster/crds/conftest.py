"""The custom resources of `crds/`, served by a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.api_server import ApiServer
from tests.cluster.kubectl import Kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """A server apart from the other tests': the controllers there would write over the statuses tried here."""
    with ApiServer() as running:
        yield running


@pytest.fixture(scope="session")
def kubectl(api_server: ApiServer) -> Kubectl:
    run = Kubectl(api_server)
    run("apply", "--server-side", "--force-conflicts", f"--filename={CRDS}")
    run("wait", "--for=condition=Established", "--timeout=30s", f"--filename={CRDS}")
    return run
