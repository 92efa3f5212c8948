"""A connection to the cluster for the length of one command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from heraldlb.cli.kubectl.exits import CommandError, Exit
from heraldlb.cli.kubectl.options import Target

if TYPE_CHECKING:
    from heraldlb.kube.client import Api

T = TypeVar("T")


def run(target: Target, work: Callable[[Api, str], Awaitable[T]]) -> T:
    """What `work` returns, given a connection and the namespace of the context.

    Raises CommandError for what goes wrong with the connection, and for what the API server refuses.
    """
    # It takes the better part of a second.
    import asyncio

    from heraldlb.kube.client import Api, ApiError, ApiUnavailableError
    from heraldlb.kube.credentials import CredentialsError, load_as_kubectl

    async def connected() -> T:
        configuration, namespace = await load_as_kubectl(target.kubeconfig, target.context)
        async with Api(configuration) as api:
            return await work(api, namespace)

    try:
        return asyncio.run(connected())
    except (CredentialsError, ApiUnavailableError) as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from error
    except ApiError as error:
        status = {401: Exit.FORBIDDEN, 403: Exit.FORBIDDEN, 404: Exit.NOT_FOUND}.get(error.status, Exit.UNREACHABLE)
        raise CommandError(str(error), status) from error
