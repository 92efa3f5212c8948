"""The API server as its administrator reaches it: JSON in and out, and the history of a collection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kubernetes import config
from kubernetes.client import ApiClient

Body = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"

POOLS = "/apis/heraldlb.io/v1beta1/addresspools"
RECORDS = "/apis/heraldlb.io/v1beta1/serviceaddresses"
NAMESPACES = "/api/v1/namespaces"
ALL_SERVICES = "/api/v1/services"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"

_WATCH_SECONDS = 20
_WRITES = re.compile(
    r'^apiserver_request_total\{.*resource="(\w+)".*verb="(?:POST|PUT|PATCH|DELETE)".*\} (.+)$',
    re.MULTILINE,
)


def services_of(namespace: str) -> str:
    """The path of a namespace's Services."""
    return f"{NAMESPACES}/{namespace}/services"


def events_of(namespace: str) -> str:
    """The path of a namespace's Events."""
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def version_of(body: Body) -> int:
    """The resourceVersion; those of all kinds are in one order, that of the writes to the store."""
    return int(body["metadata"]["resourceVersion"])


@dataclass(frozen=True, slots=True)
class Change:
    """One write to one object, and the object as it then was."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Body

    @property
    def version(self) -> int:
        """Its place in the order of all writes."""
        return version_of(self.object)

    @property
    def name(self) -> str:
        """The object's name."""
        name: str = self.object["metadata"]["name"]
        return name


class ApiError(Exception):
    """The API server refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{message} ({status})")
        self.status = status


class Api:
    """A connection. Methods raise ApiError."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client: ApiClient = config.new_client_from_config(str(kubeconfig))
        self._host: str = self._client.configuration.host

    def close(self) -> None:
        """Close the connection."""
        self._client.rest_client.pool_manager.clear()

    def get(self, path: str, name: str) -> Body:
        """One object."""
        return self._call("GET", f"{path}/{name}")

    def find(self, path: str, name: str) -> Body | None:
        """One object, or None."""
        try:
            return self.get(path, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def every(self, path: str) -> list[Body]:
        """Every object of a collection."""
        items: list[Body] = self._call("GET", path)["items"]
        return items

    def create(self, path: str, body: Body) -> Body:
        """The object as it was stored."""
        return self._call("POST", path, body)

    def patch(self, path: str, name: str, body: Body, subresource: str = "") -> Body:
        """Merge; the object as it was stored."""
        target = f"{path}/{name}/{subresource}" if subresource else f"{path}/{name}"
        return self._call("PATCH", target, body, MERGE_PATCH)

    def delete(self, path: str, name: str) -> None:
        """Delete an object, which need not be there."""
        try:
            self._call("DELETE", f"{path}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise

    def delete_every(self, path: str) -> None:
        """Delete all objects of a collection."""
        self._call("DELETE", path)

    def now(self) -> int:
        """The resourceVersion of the last write so far."""
        return int(self._call("GET", f"{NAMESPACES}?limit=1")["metadata"]["resourceVersion"])

    def history(self, path: str, since: int, marker: Body) -> list[Change]:
        """Every write to a collection after the version `since`, up to now.

        `marker`: an object of the collection, which is made and deleted to mark the end.
        """
        name = marker["metadata"]["name"]
        self.create(path, marker)
        self.delete(path, name)
        changes: list[Change] = []
        for change in self._watch(path, since):
            if change.name == name:
                return changes
            changes.append(change)
        raise AssertionError(
            f"{path}: the watch ended before the marker; the last of {len(changes)}: {changes[-1:]}"
        )

    def _watch(self, path: str, since: int) -> Iterator[Change]:
        url = f"{self._host}{path}?watch=1&resourceVersion={since}&timeoutSeconds={_WATCH_SECONDS}"
        answer = self._client.rest_client.request("GET", url, headers={"Accept": "application/json"})
        with closing(answer.response) as stream:
            rest = b""
            for chunk in stream.stream(65536, decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise ApiError(event["object"]["code"], event["object"]["message"])
                    yield Change(event["type"], event["object"])

    def writes(self, *resources: str) -> int:
        """How many requests to create, change or delete objects of these kinds the API server has answered so far.

        Also those that changed nothing, which leave no other trace.
        """
        answer = self._client.rest_client.request("GET", f"{self._host}/metrics")
        rows = _WRITES.findall(answer.read().decode())
        return sum(int(float(count)) for resource, count in rows if resource in resources)

    def _call(self, method: str, target: str, body: Body | None = None, kind: str = "application/json") -> Body:
        headers = {"Accept": "application/json", "Content-Type": kind}
        answer = self._client.rest_client.request(method, self._host + target, headers=headers, body=body)
        decoded: Body = json.loads(answer.read())
        if answer.status >= 400:
            raise ApiError(answer.status, decoded.get("message", ""))
        return decoded
