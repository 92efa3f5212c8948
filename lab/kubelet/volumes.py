"""A pod's volumes as folders of the machine: Secrets, ConfigMaps, pod fields, tokens, empty folders."""

from __future__ import annotations

import base64
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.api_client import ApiError
from lab.kubelet.environment import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lab.api_client import Api
    from lab.kubelet.environment import Kind, PodFacts

REFRESH_SECONDS = 30.0
"""How often changed Secrets and ConfigMaps reach the files, as a kubelet's sync."""
_RENEW_AFTER = 0.8
"""Of a token's life; what the kubelet does, too."""
_NOT_FOUND = 404


async def read_data(api: Api, namespace: str, kind: Kind, name: str) -> dict[str, bytes] | None:
    """The entries of a Secret or ConfigMap, None if it does not exist. Raises ApiError."""
    try:
        found = await api.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
    except ApiError as error:
        if error.status == _NOT_FOUND:
            return None
        raise
    binary = found.get("data", {}) if kind == "secrets" else found.get("binaryData", {})
    data = {key: base64.b64decode(value) for key, value in (binary or {}).items()}
    if kind == "configmaps":
        data |= {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return data


def _write(folder: Path, name: str, data: bytes) -> None:
    """Replace a file in one step, so that a reader never sees half of it."""
    path = folder / name
    with suppress(FileNotFoundError):
        if path.read_bytes() == data:
            return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_bytes(data)
    unfinished.chmod(0o644)
    unfinished.rename(path)


def _selected(data: dict[str, bytes], items: Iterable[Mapping[str, str]] | None) -> dict[str, bytes]:
    if not items:
        return data
    return {item["path"]: data[item["key"]] for item in items if item["key"] in data}


@dataclass(slots=True)
class Volumes:
    """The volumes of one pod below `folder`."""

    api: Api
    folder: Path
    facts: PodFacts
    _token_due: dict[str, float] = field(default_factory=dict)

    @property
    def _pod(self) -> Mapping[str, Any]:
        return self.facts.pod

    def path(self, name: str) -> Path:
        return self.folder / name

    async def write(self) -> None:
        """Make every volume, or bring it up to date. Raises ConfigError, ApiError."""
        for volume in self._pod["spec"].get("volumes", ()):
            folder = self.path(volume["name"])
            if not folder.is_dir():
                folder.mkdir(mode=0o755, parents=True)
                if "emptyDir" in volume:
                    folder.chmod(0o777)
            await self._fill(volume, folder)

    async def _fill(self, volume: Mapping[str, Any], folder: Path) -> None:
        if "emptyDir" in volume:
            return
        if "secret" in volume:
            source = volume["secret"]
            await self._data("secrets", source["secretName"], source, folder)
        elif "configMap" in volume:
            await self._data("configmaps", volume["configMap"]["name"], volume["configMap"], folder)
        elif "downwardAPI" in volume:
            self._fields(volume["downwardAPI"], folder)
        elif "projected" in volume:
            for source in volume["projected"].get("sources", ()):
                await self._projected(source, folder)
        else:
            kind = next(iter(volume.keys() - {"name"}), "none")
            raise ConfigError(
                f"volume {volume['name']!r}: {kind} is not known to the lab, which has emptyDir, secret,"
                " configMap, downwardAPI and projected"
            )

    async def _projected(self, source: Mapping[str, Any], folder: Path) -> None:
        if token := source.get("serviceAccountToken"):
            await self._token(token, folder)
        for name, kind in (("secret", "secrets"), ("configMap", "configmaps")):
            if entry := source.get(name):
                await self._data(kind, entry["name"], entry, folder)  # type: ignore[arg-type]
        if fields := source.get("downwardAPI"):
            self._fields(fields, folder)

    def _fields(self, source: Mapping[str, Any], folder: Path) -> None:
        for item in source.get("items", ()):
            if "fieldRef" in item:
                _write(folder, item["path"], self.facts.field(item["fieldRef"]["fieldPath"]).encode())

    async def _data(self, kind: Kind, name: str, source: Mapping[str, Any], folder: Path) -> None:
        data = await read_data(self.api, self._pod["metadata"]["namespace"], kind, name)
        if data is None:
            if source.get("optional"):
                return
            raise ConfigError(f"volume: {kind} {name!r} does not exist")
        for path, value in _selected(data, source.get("items")).items():
            _write(folder, path, value)

    async def _token(self, source: Mapping[str, Any], folder: Path) -> None:
        """A token bound to this pod, by the TokenRequest API; a new one well before the last expires."""
        target = str(folder / source["path"])
        now = time.monotonic()
        if self._token_due.get(target, 0) > now:
            return
        metadata, lifetime = self._pod["metadata"], source.get("expirationSeconds", 3600)
        account = self._pod["spec"].get("serviceAccountName", "default")
        reference = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        spec: dict[str, Any] = {"expirationSeconds": lifetime, "boundObjectRef": reference}
        if audience := source.get("audience"):
            spec["audiences"] = [audience]
        answer = await self.api.request(
            "POST",
            f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )
        _write(folder, source["path"], answer["status"]["token"].encode())
        self._token_due[target] = now + lifetime * _RENEW_AFTER
