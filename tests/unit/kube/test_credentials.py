"""The credentials that `kubectl herald` finds are those that kubectl would use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from heraldlb.kube.credentials import CredentialsError, load_as_kubectl


def write(path: Path, name: str, namespace: str = "", **more: Any) -> str:
    """A file with one cluster, user and context, all of that name."""
    context: dict[str, Any] = {"cluster": name, "user": name}
    body = {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example:6443"}}],
        "users": [{"name": name, "user": {"token": name}}],
        "contexts": [{"name": name, "context": context | ({"namespace": namespace} if namespace else {})}],
    }
    path.write_text(yaml.safe_dump(body | more))
    return str(path)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


async def test_the_file_and_context_that_are_named_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = write(tmp_path / "one", "one", "shop", **{"current-context": "one"})
    two = write(tmp_path / "two", "two")
    monkeypatch.setenv("KUBECONFIG", f"{one}:{tmp_path / 'absent'}:{two}")
    configuration, namespace = await load_as_kubectl("", "")
    assert (configuration.host, namespace) == ("https://one.example:6443", "shop")
    configuration, namespace = await load_as_kubectl("", "two")
    assert (configuration.host, namespace) == ("https://two.example:6443", "default")
    assert configuration.api_key["BearerToken"] == "Bearer two"
    with pytest.raises(CredentialsError, match="two"):
        await load_as_kubectl(one, "two")


async def test_the_home_directory_comes_last_and_is_named_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"~/\.kube/config"):
        await load_as_kubectl("", "")
    (tmp_path / ".kube").mkdir()
    write(tmp_path / ".kube" / "config", "home", **{"current-context": "home"})
    configuration, _ = await load_as_kubectl("", "")
    assert configuration.host == "https://home.example:6443"


@pytest.mark.parametrize("written", ["a: [", "", "just text", "clusters: 7", "current-context: x"])
async def test_a_file_that_is_no_kubeconfig_is_an_error_that_names_it(tmp_path: Path, written: str) -> None:
    path = tmp_path / "broken"
    path.write_text(written)
    with pytest.raises(CredentialsError, match="broken"):
        await load_as_kubectl(str(path), "")
