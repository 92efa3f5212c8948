"""A cluster in a box, for tests and by hand: `Lab` with nodes and a LAN, `ApiServer` without. See lab/README.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.api_server import ApiServer
    from lab.errors import LabError
    from lab.host import Host
    from lab.lab import Lab

__all__ = ["ApiServer", "Host", "Lab", "LabError"]


def __getattr__(name: str) -> object:
    # Imported when asked for: the lab's own small processes import modules of this package, and must start at once.
    if name == "ApiServer":
        from lab.api_server import ApiServer

        return ApiServer
    if name == "Host":
        from lab.host import Host

        return Host
    if name == "Lab":
        from lab.lab import Lab

        return Lab
    if name == "LabError":
        from lab.errors import LabError

        return LabError
    raise AttributeError(f"module 'lab' has no attribute {name!r}")
