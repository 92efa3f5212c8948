"""Controller processes of the tests: the console script, as the ServiceAccount that the chart ships."""

from __future__ import annotations

import itertools
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lab.namespaces import Surroundings
from lab.processes import Process, Register
from lab.waiting import wait_for
from tests.cluster.controller.api import LEASES, Api

LEASE = "heraldlb-controller"

_STOP_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Replica:
    """One controller process."""

    identity: str
    """What it calls itself in the Lease."""
    options: tuple[str, ...]
    process: Process
    log: Path

    def stands_by(self) -> bool:
        """Whether it has seen that another acts, by its log."""
        said = self.log.read_text()
        return said.rfind("standing by") > said.rfind("acting as")

    def stop(self) -> None:
        """SIGTERM, as at the end of a pod; return when it has ended."""
        self.process.send(signal.SIGTERM)
        assert self.process.wait(_STOP_PATIENCE), f"{self.identity} does not stop:\n{self.log.read_text()}"
        self.process.reap()

    def kill(self) -> None:
        """SIGKILL; return when it has ended."""
        self.process.kill()
        self.process.reap()

    def pause(self) -> None:
        """SIGSTOP: it does nothing and does not know it."""
        self.process.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send(signal.SIGCONT)


@dataclass
class Replicas:
    """Starts controllers, knows those that run, and who of them acts."""

    api: Api
    kubeconfig: Path
    register: Register
    """Of the API server's folder: whatever becomes of the tests, its end is the end of what is started here."""
    running: list[Replica] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def holder(self) -> str:
        """Who acts, by the Lease; empty: nobody."""
        lease = self.api.find(LEASES, LEASE)
        return (lease or {}).get("spec", {}).get("holderIdentity") or ""

    def start(self, *options: str) -> Replica:
        """A further replica, which may have to stand by."""
        identity = f"replica-{next(self._numbers)}"
        arguments = [f"--kubeconfig={self.kubeconfig}", f"--identity={identity}", "--metrics-address=", *options]
        program = Path(sys.executable).with_name("heraldlb")
        command = [str(program), "controller", *arguments]
        process = self.register.start(identity, command, Surroundings(), self.register.lab)
        replica = Replica(identity, options, process, self.register.log(identity))
        self.running.append(replica)
        return replica

    def await_acting(self, replica: Replica) -> None:
        """Return when it holds the Lease."""

        def acts() -> bool:
            assert replica.process.is_alive(), replica.log.read_text()
            return self.holder() == replica.identity

        wait_for(f"{replica.identity} to act", acts)

    def await_standing_by(self, replica: Replica) -> None:
        """Return when it has seen that another acts."""
        wait_for(f"{replica.identity} to stand by", replica.stands_by)

    def only(self, *options: str) -> Replica:
        """The one replica that runs and acts, started with these options."""
        fit = [each for each in self.running if each.process.is_alive() and each.options == options]
        for replica in [each for each in self.running if each not in fit[:1]]:
            self.end(replica)
        replica = fit[0] if fit else self.start(*options)
        self.await_acting(replica)
        return replica

    def end(self, replica: Replica, *, gently: bool = True) -> None:
        """Stop or kill it."""
        self.running.remove(replica)
        if gently and replica.process.is_alive():
            replica.resume()
            replica.stop()
        else:
            replica.kill()

    def end_all(self) -> None:
        """None runs afterwards."""
        for replica in list(self.running):
            self.end(replica)

    def kill_all(self) -> None:
        """None runs afterwards, whatever state they are in."""
        for replica in list(self.running):
            self.end(replica, gently=False)
