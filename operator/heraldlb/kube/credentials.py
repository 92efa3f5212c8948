"""The credentials of all calls to the API server, and where they are found."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import Configuration


class CredentialsError(Exception):
    """No usable credentials; the message says what was looked for."""


async def load(kubeconfig: str | None) -> Configuration:
    """Credentials from the kubeconfig if one is named, else from the pod's ServiceAccount, else `~/.kube/config`.

    Raises CredentialsError.
    """
    configuration = Configuration()
    try:
        if kubeconfig:
            await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        elif "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:
            await config.load_kube_config(client_configuration=configuration)
    except (config.ConfigException, OSError) as error:
        looked = kubeconfig or "the pod's ServiceAccount, then ~/.kube/config"
        raise CredentialsError(f"no Kubernetes credentials ({looked}): {error}") from error
    return _settled(configuration)


async def load_as_kubectl(kubeconfig: str, context: str) -> tuple[Configuration, str]:
    """The credentials that kubectl would use, and the namespace of their context.

    The file named, else `$KUBECONFIG` (several, separated by colons, count as one), else `~/.kube/config`, else the
    pod's ServiceAccount. `context`: of that file; empty: its current one. Raises CredentialsError.
    """
    configuration = Configuration()
    places = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    found = _exists(places)
    try:
        if not found and not kubeconfig and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)
            return _settled(configuration), namespace_of_pod("default")
        if not found:
            raise CredentialsError(f"no Kubernetes credentials: there is no {places}; name a file by --kubeconfig")
        loader = await config.load_kube_config(
            config_file=places, context=context or None, client_configuration=configuration, persist_config=False
        )
        namespace = loader.current_context["context"].get("namespace")
    except (config.ConfigException, yaml.YAMLError, OSError, TypeError, KeyError) as error:
        raise CredentialsError(f"no usable Kubernetes credentials in {places}: {error}") from error
    return _settled(configuration), namespace or "default"


def _exists(places: str) -> bool:
    """Whether one of several files, separated as in PATH, exists."""
    return any(Path(place).expanduser().exists() for place in places.split(os.pathsep) if place)


def _settled(configuration: Configuration) -> Configuration:
    # Left to itself, the client looks up proxies and netrc in another thread for every single call.
    configuration.proxy = configuration.proxy or _proxy(configuration.host)
    configuration.client_session_kwargs = {"trust_env": False}
    return configuration


def _proxy(host: str) -> str | None:
    """The proxy that the environment (`HTTPS_PROXY`, `NO_PROXY`) asks to be used for this URL."""
    url = urlsplit(host)
    if urllib.request.proxy_bypass(url.netloc):
        return None
    return urllib.request.getproxies().get(url.scheme)


def namespace_of_pod(default: str) -> str:
    """The namespace that this process runs in, by its ServiceAccount, or `default` outside a cluster."""
    path = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    try:
        return path.read_text().strip() or default
    except OSError:
        return default
