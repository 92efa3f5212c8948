"""The bare ceiling: what Herald writes for each Service, written by a client that decides and watches nothing.

A process of its own: it lists the Services, writes for each one the ServiceAddress and then the status, so many
Services at a time, and ends. Imports nothing that it does not need and decodes no answer: what it takes is the time
of the API server, and the least that a client in Python adds to it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
from base64 import b64decode
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import aiohttp

POOL: Final = "bench"
TRANSITION: Final = "2026-01-01T00:00:00Z"

_SERVICES: Final = "/api/v1/services?fieldSelector=spec.type%3DLoadBalancer"
_RECORDS: Final = "/apis/heraldlb.io/v1beta1/serviceaddresses"
_JSON: Final = {"Content-Type": "application/json"}
_PATCH: Final = {"Content-Type": "application/strategic-merge-patch+json"}

Body = dict[str, Any]


def record(service: Body, address: str) -> Body:
    """The ServiceAddress, as Herald writes it."""
    metadata, ports = service["metadata"], service["spec"]["ports"]
    holder = {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "ports": [{"port": port["port"], "protocol": port["protocol"]} for port in ports],
    }
    return {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "ServiceAddress",
        "metadata": {"name": address},
        "spec": {"address": address, "addressPool": POOL, "services": [holder]},
    }


def status(service: Body, address: str) -> Body:
    """The patch of the Service's status, as Herald writes it."""
    metadata = service["metadata"]
    condition = {
        "type": "heraldlb.io/AddressAssigned",
        "status": "True",
        "reason": "AddressAssigned",
        "message": f'{address} from pool "{POOL}"',
        "lastTransitionTime": TRANSITION,
    }
    return {
        "metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        "status": {"conditions": [condition], "loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}},
    }


def _served(service: Body) -> bool:
    return bool(service["status"]["loadBalancer"])


def _session(kubeconfig: Path) -> aiohttp.ClientSession:
    # The lab's kubeconfigs are JSON.
    document = json.loads(kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    authority = b64decode(cluster["certificate-authority-data"]).decode()
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=authority), limit=0)
    headers = {"Authorization": f"Bearer {user['token']}", "Accept-Encoding": "identity"}
    return aiohttp.ClientSession(cluster["server"], connector=connector, headers=headers, raise_for_status=True)


async def _run(kubeconfig: Path, network: str, concurrency: int) -> None:
    async with _session(kubeconfig) as session:
        async with session.get(_SERVICES) as answer:
            services = json.loads(await answer.read())["items"]
        hosts = ip_network(network)
        # Of a start before this one, some may be served, from the first address on.
        given = enumerate(services, 1)
        work = iter([(service, str(hosts[index])) for index, service in given if not _served(service)])

        async def write() -> None:
            for service, address in work:
                data = json.dumps(record(service, address))
                async with session.post(_RECORDS, data=data, headers=_JSON) as answer:
                    await answer.read()
                metadata = service["metadata"]
                path = f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}/status"
                async with session.patch(path, data=json.dumps(status(service, address)), headers=_PATCH) as answer:
                    await answer.read()

        await asyncio.gather(*(write() for _ in range(concurrency)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="one of the lab's, with a token")
    parser.add_argument("--range", required=True, help="CIDR to take addresses from")
    parser.add_argument("--concurrency", type=int, required=True, help="Services written at the same time")
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.kubeconfig, arguments.range, arguments.concurrency))


if __name__ == "__main__":
    main()
