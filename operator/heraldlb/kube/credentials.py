"""One set of credentials for our own calls and for Kopf's watches."""

from __future__ import annotations

import datetime
import os
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import kopf
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

_REREAD_AFTER = datetime.timedelta(minutes=5)
"""A projected ServiceAccount token is replaced on disk well before it expires; its readers must follow."""


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


async def connection_info(configuration: Configuration) -> kopf.ConnectionInfo:
    """The same credentials as Kopf wants them, to be asked for again when they may have been rotated."""
    token = await configuration.get_api_key_with_prefix("BearerToken")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        ca_data=configuration.ca_cert_data,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        token=token.split(" ", 1)[-1] if token else None,
        username=configuration.username or None,
        password=configuration.password or None,
        proxy_url=configuration.proxy,
        expiration=datetime.datetime.now(datetime.UTC) + _REREAD_AFTER if token else None,
    )


def namespace_of_pod(default: str) -> str:
    """The namespace that this process runs in, by its ServiceAccount, or `default` outside a cluster."""
    path = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    try:
        return path.read_text().strip() or default
    except OSError:
        return default
