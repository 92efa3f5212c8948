"""How long a Service waits for its EXTERNAL-IP, as a watch sees it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from lab.addressing import API_PORT, CONTROL_PLANE
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab

_PATIENCE: Final = 20
_SERVICES: Final = "/api/v1/namespaces/default/services"


def _connect(lab: Lab) -> http.client.HTTPSConnection:
    """From the client host, past the relay that serves this machine: its time is not Herald's."""
    context = ssl.create_default_context(cafile=str(lab.folder / "pki" / "ca.crt"))
    context.load_cert_chain(lab.folder / "pki" / "probe.pem")
    server = str(lab.hosts[CONTROL_PLANE].ipv4)
    connection = http.client.HTTPSConnection(server, API_PORT, timeout=_PATIENCE + 5, context=context)
    lab.client.call(connection.connect)
    return connection


def _follow(answer: http.client.HTTPResponse) -> float:
    created = None
    for line in answer:
        event = json.loads(line)
        service = event["object"]
        if event["type"] == "ERROR":
            raise LabError(f"the watch of the Service failed: {service['message']}")
        if created is None:
            created = time.monotonic()
        if service["status"].get("loadBalancer", {}).get("ingress"):
            return time.monotonic() - created
    raise LabError("the watch ended before the Service had an EXTERNAL-IP")


@contextmanager
def watching(lab: Lab, name: str) -> Iterator[Future[float]]:
    """Watch a Service of namespace default that is yet to be created.

    The result: seconds between its creation and its EXTERNAL-IP being shown; LabError after 20 s in vain.
    """
    connection = _connect(lab)
    try:
        connection.request("GET", f"{_SERVICES}?limit=1")
        version = json.load(connection.getresponse())["metadata"]["resourceVersion"]
        query = f"watch=1&fieldSelector=metadata.name%3D{name}&resourceVersion={version}&timeoutSeconds={_PATIENCE}"
        connection.request("GET", f"{_SERVICES}?{query}")
        answer = connection.getresponse()
        with ThreadPoolExecutor(1, "watch") as pool:
            try:
                yield pool.submit(_follow, answer)
            finally:
                # Ends a read that is under way, as after Ctrl-C.
                connection.sock.shutdown(socket.SHUT_RDWR)
    finally:
        connection.close()
