"""What an image name stands for: a program of this machine. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

WEB = "lab/web"
PAUSE = "lab/pause"
COREDNS = "lab/coredns"
NGINX = "lab/nginx"
OPERATOR = "heraldlb"


class UnknownImageError(Exception):
    """No program stands for this image."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the programs are."""

    python: Path
    """The interpreter of the environment the operator is installed in."""
    lab: Path
    """The folder of the `lab` package."""
    find: Callable[[str], Path]
    """Where another program is, by its name. Raises LabError."""


def _repository(image: str) -> str:
    """The name without registry port, tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def entrypoint(image: str, installation: Installation) -> list[str]:
    """The program an image starts when the pod names none. Raises UnknownImageError; LabError if it is missing."""
    repository = _repository(image)
    python = str(installation.python)
    if repository == WEB:
        return [python, "-I", "-S", str(installation.lab / "web.py")]
    if repository == PAUSE:
        return ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"]
    if repository == COREDNS:
        return [str(installation.find("coredns"))]
    if repository == NGINX:
        # As the official image starts it; its build's own log would be this machine's.
        return [str(installation.find("nginx")), "-e", "stderr", "-g", "daemon off;"]
    if OPERATOR in repository:
        return [str(installation.python.parent / "heraldlb")]
    known = f"{WEB}, {PAUSE}, {COREDNS}, {NGINX} and any whose name contains {OPERATOR}"
    raise UnknownImageError(f"image {image!r} is not one the lab can run: there are {known}")


def _expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace $(NAME) by the variable's value and $$ by $, as the API documents for `command` and `args`."""
    out, rest = "", text
    while "$" in rest:
        before, _, after = rest.partition("$")
        out += before
        if after.startswith("$"):
            out, rest = f"{out}$", after[1:]
            continue
        name, closed, following = after[1:].partition(")")
        if after.startswith("(") and closed and name in variables:
            out, rest = out + variables[name], following
        else:
            out, rest = f"{out}$", after
    return out + rest


def command_line(
    container: Mapping[str, Any], installation: Installation, environment: Mapping[str, str]
) -> list[str]:
    """The program and arguments of a container. Raises as `entrypoint` does, also where `command` is given."""
    own = entrypoint(container["image"], installation)
    words = [_expand(word, environment) for word in (*container.get("command", ()), *container.get("args", ()))]
    return words if container.get("command") else [*own, *words]
