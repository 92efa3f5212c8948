"""A machine of the lab, or a pod: somewhere to run things and to open sockets."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lab.errors import LabError
from lab.namespaces import Surroundings, run_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from ipaddress import IPv4Address, IPv6Address
    from pathlib import Path
    from socket import socket as Socket  # noqa: N812 - `Host.socket` hides the module in annotations

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Host:
    """Stays valid over power cycles; using it while the machine is off raises LabError."""

    name: str
    ipv4: IPv4Address
    ipv6: IPv6Address
    mac_address: str
    network: Path
    """The file of its network namespace."""
    environment: Mapping[str, str]
    """Added to that of every process started here."""

    @property
    def netns(self) -> str:
        """The name `ip netns exec` takes; for a pod, a number of no use to it."""
        return self.network.name

    def _run_in(self, surroundings: Surroundings, function: Callable[[], T]) -> T:
        if not self.network.exists():
            raise LabError(f"{self.name} is powered off")
        return run_in(surroundings, function)

    def _options(self, environment: Mapping[str, str] | None) -> Mapping[str, str]:
        return os.environ | dict(self.environment) | dict(environment or {})

    def exec(
        self,
        argv: Sequence[str],
        *,
        input: str | None = None,  # noqa: A002
        timeout: float = 30.0,
        environment: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command here to its end. Raises LabError with its output if it fails and `check` is set."""
        variables = self._options(environment)
        done = self._run_in(
            Surroundings(network=self.network, own_system_view=True),
            lambda: subprocess.run(
                argv, input=input, timeout=timeout, env=variables, capture_output=True, text=True, check=False
            ),
        )
        if check and done.returncode != 0:
            raise LabError(
                f"{' '.join(argv)} on {self.name} ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done

    def run(self, argv: Sequence[str]) -> int:
        """Run a command here with the input and output of this process; return its exit status, 128 + a signal."""
        variables = self._options(None)
        done = self._run_in(
            Surroundings(network=self.network, own_system_view=True),
            lambda: subprocess.run(argv, env=variables, check=False),
        )
        return done.returncode if done.returncode >= 0 else 128 - done.returncode

    def popen(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[Any]:
        """Start a command here; options as of subprocess.Popen. It is killed when the machine is powered off."""
        variables = self._options(environment)
        return self._run_in(
            Surroundings(network=self.network, own_system_view=True),
            lambda: subprocess.Popen(argv, env=variables, **options),
        )

    def call(self, function: Callable[[], T]) -> T:
        """Call a function of this process with the machine's network; sockets it makes stay there for good."""
        return self._run_in(Surroundings(network=self.network), function)

    def socket(self, family: int, kind: int, protocol: int = 0) -> Socket:
        """A socket on this machine, for this process; also AF_PACKET."""
        return self.call(lambda: socket.socket(family, kind, protocol))

    def connect(self, address: str, port: int, timeout: float = 5.0) -> Socket:
        """A TCP connection from this machine. Raises OSError."""
        return self.call(lambda: socket.create_connection((address, port), timeout=timeout))

    def http_get(self, address: str, port: int = 80, path: str = "/", timeout: float = 5.0) -> str:
        """The body a web server answers. Raises OSError, also for a status other than 200."""
        host = f"[{address}]" if ":" in address else address
        with self.connect(address, port, timeout) as connection:
            request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        head, _, body = answer.decode().partition("\r\n\r\n")
        if " 200 " not in head.partition("\r\n")[0]:
            raise OSError(f"{address} port {port} answered {head.partition(chr(13))[0] or 'nothing'}")
        return body
