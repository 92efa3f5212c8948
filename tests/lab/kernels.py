"""What the agent asks of the kernel about ways to other nodes, on one host of a small network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from heraldlb.agent.pathways import Kernel
from heraldlb.forwarding import pathreadings, reaching, vxlan, waywatch
from lab.namespaces import Surroundings, named, run_in
from tests.lab.forwarding_net import Net

T = TypeVar("T")


def kernel(net: Net, host: str) -> Kernel:
    """That host's, the real one."""

    def there(function: Callable[[], T]) -> T:
        return run_in(Surroundings(network=named(net.prefix + host)), function)

    return Kernel(
        reach=lambda hosts: there(lambda: reaching.reach(hosts)),
        keep=lambda tunnel: there(lambda: vxlan.keep(tunnel)),
        remove=lambda: there(vxlan.remove),
        read=lambda *asked: there(lambda: pathreadings.read(*asked)),
        subscribe=lambda: there(waywatch.subscribe),
    )
