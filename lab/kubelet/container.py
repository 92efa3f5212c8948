"""One container: prepares its process, starts it, keeps it running by the pod's restart policy, ends it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.api_client import UNREACHABLE, ApiError
from lab.errors import LabError
from lab.kubelet import capabilities, environment, probes
from lab.kubelet.clock import now
from lab.kubelet.environment import ConfigError
from lab.kubelet.file_view import Volume
from lab.kubelet.images import OPERATOR, Installation, UnknownImageError, command_line
from lab.kubelet.probes import Probe
from lab.kubelet.sandbox import FAILED, Sandbox
from lab.kubelet.status import ContainerReport
from lab.kubelet.volumes import Volumes, read_data
from lab.namespaces import Surroundings
from lab.processes import Process, spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MARK = "HERALD_LAB_CONTAINER"
"""The variable by which the lab finds a container's process: NAMESPACE/POD/CONTAINER."""

IMAGE_USER = 65532
"""The user the operator's image runs as when the pod names none."""

_RETRY = 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
"""Between restarts: none before the first, then doubling. A kubelet starts at 10 s and goes to 300."""
_HEALTHY_AFTER = 30.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What a container needs to know of its pod and node."""

    facts: environment.PodFacts
    volumes: Volumes
    network: Path | None
    """The pod's network namespace; None: the node's."""
    hostname: str
    service_environment: Mapping[str, str]
    installation: Installation
    log_folder: Path


async def _ended(process: Process) -> int:
    """Wait for a child; its exit status as a shell tells it (128 + signal)."""
    descriptor = os.pidfd_open(process.pid)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    _, status = os.waitpid(process.pid, 0)  # noqa: ASYNC222 - it has ended
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


@dataclass(slots=True)
class Container:
    """Runs one container of a pod; `changed` is called whenever `report` has."""

    spec: Mapping[str, Any]
    setting: Setting
    changed: Callable[[], None]
    report: ContainerReport = field(init=False)
    _process: Process | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no process runs."""

    def __post_init__(self) -> None:
        self.report = ContainerReport(self.spec["name"], self.spec["image"])

    @property
    def log(self) -> Path:
        metadata = self.setting.facts.pod["metadata"]
        return self.setting.log_folder / f"{metadata['namespace']}_{metadata['name']}_{self.report.name}.log"

    async def run(self, restart_policy: str) -> None:
        """Until it has ended for good, or was told to."""
        pause = 0.0
        while not self._stopping.is_set():
            sandbox = await self._prepared()
            if sandbox is None:
                continue
            begun = asyncio.get_running_loop().time()
            code = await self._run_once(sandbox)
            if (
                self._stopping.is_set()
                or restart_policy == "Never"
                or (restart_policy == "OnFailure" and code == 0)
            ):
                return
            if asyncio.get_running_loop().time() - begun > _HEALTHY_AFTER:
                pause = 0.0
            await self._back_off(pause)
            pause = min(max(pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)

    async def _back_off(self, pause: float) -> None:
        self.report.last_state = self.report.state
        self.report.restarts += 1
        if pause:
            message = f"back-off {pause:.0f}s restarting failed container; see `python -m lab logs`"
            self._set({"waiting": {"reason": "CrashLoopBackOff", "message": message}})
            await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def stop(self, grace: float) -> None:
        """SIGTERM, SIGKILL after `grace` seconds. `run` returns when the process is gone."""
        self._stopping.set()
        if self._process is None:
            return
        self._process.send(signal.SIGTERM)
        process = self._process
        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
        except TimeoutError:
            process.send(signal.SIGKILL)

    def _set(self, state: dict[str, Any]) -> None:
        self.report.state = state
        self.changed()

    async def _prepared(self) -> Sandbox | None:
        """Everything the process needs; None, with the reason in the status, if something is missing now."""
        try:
            return await self._prepare()
        except (UnknownImageError, LabError) as error:
            reason, message = "ErrImagePull", str(error)
        except (ConfigError, ValueError) as error:
            reason, message = "CreateContainerConfigError", str(error)
        except (ApiError, *UNREACHABLE) as error:
            reason, message = "ContainerCreating", f"API server: {error}"
        self._set({"waiting": {"reason": reason, "message": message}})
        await self._sleep(_RETRY)
        return None

    async def _prepare(self) -> Sandbox:
        setting, spec, pod = self.setting, self.spec, self.setting.facts.pod
        if kind := probes.unsupported(spec):
            raise ConfigError(f"{kind}: the lab makes httpGet and tcpSocket probes only")
        variables = await self._environment()
        context = pod["spec"].get("securityContext", {}) | spec.get("securityContext", {})
        user = context.get("runAsUser", IMAGE_USER if OPERATOR in spec["image"] else 0)
        if context.get("runAsNonRoot") and user == 0:
            raise ConfigError("securityContext: runAsNonRoot is set, and the user is 0")
        wanted = context.get("capabilities", {})
        group = context.get("runAsGroup", user)
        own = {context["fsGroup"]} if "fsGroup" in context else set[int]()
        argv = command_line(spec, setting.installation, variables)
        needed = {sys.prefix, sys.base_prefix, str(setting.installation.lab.parent)}
        if Path(argv[0]).is_absolute():
            needed.add(str(Path(argv[0]).parent))
        return Sandbox(
            argv=argv,
            environment=variables,
            directory=spec.get("workingDir", "/"),
            hostname=setting.hostname,
            volumes=[self._volume(mounted) for mounted in spec.get("volumeMounts", ())],
            needed=sorted(needed),
            user=user,
            group=group,
            groups=sorted({group, *own, *context.get("supplementalGroups", ())}),
            capabilities=sorted(capabilities.granted(wanted.get("add", ()), wanted.get("drop", ()))),
            privileged=context.get("privileged", False),
            no_new_privileges=context.get("allowPrivilegeEscalation") is False,
            read_only_root=context.get("readOnlyRootFilesystem", False),
        )

    def _volume(self, mounted: Mapping[str, Any]) -> Volume:
        for unknown in ("subPath", "subPathExpr"):
            if mounted.get(unknown):
                raise ConfigError(f"volumeMount {mounted['mountPath']}: the lab has no {unknown}")
        source = self.setting.volumes.path(mounted["name"])
        return Volume(str(source), mounted["mountPath"], mounted.get("readOnly", False))

    async def _environment(self) -> dict[str, str]:
        facts, volumes = self.setting.facts, self.setting.volumes
        namespace, name = facts.pod["metadata"]["namespace"], facts.pod["metadata"]["name"]
        fetched: dict[environment.Source, dict[str, str] | None] = {}
        for kind, source in environment.sources(self.spec):
            data = await read_data(volumes.api, namespace, kind, source)
            fetched[kind, source] = None if data is None else {key: value.decode() for key, value in data.items()}
        program_folder = str(self.setting.installation.python.parent)
        own = {
            "PATH": f"{program_folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/tmp",  # noqa: S108 - the container's own
            "HOSTNAME": self.setting.hostname,
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            MARK: f"{namespace}/{name}/{self.report.name}",
            # What no real container is told; the lab's web server says it without a fieldRef.
            "LAB_NODE": facts.pod["spec"]["nodeName"],
        }
        return own | dict(self.setting.service_environment) | environment.resolve(self.spec, facts, fetched)

    async def _run_once(self, sandbox: Sandbox) -> int:
        identity = secrets.token_hex(16)
        spec_file = self.setting.volumes.folder.parent / f"{identity}.json"
        sandbox.store(spec_file)
        argv = [sys.executable, "-S", "-m", "lab.kubelet.sandbox", str(spec_file)]
        process = spawn(
            argv,
            log=self.log,
            surroundings=Surroundings(network=self.setting.network, new_pids=True),
            # The program's environment is in place from the first instant, so that the lab finds it by its mark.
            environment=sandbox.environment | {"PYTHONPATH": str(self.setting.installation.lab.parent)},
        )
        self._process, begun = process, now()
        self._idle.clear()
        self.report.identity = identity
        self.report.started = self.report.ready = False
        self._set({"running": {"startedAt": begun}})
        probing = asyncio.create_task(self._probe(process))
        if self._stopping.is_set():
            process.send(signal.SIGTERM)
        code = await _ended(process)
        probing.cancel()
        self._process = None
        self._idle.set()
        self.report.ready = self.report.started = False
        reason = "Completed" if code == 0 else "StartError" if code == FAILED else "Error"
        ended = {"exitCode": code, "reason": reason, "startedAt": begun, "finishedAt": now()}
        self._set({"terminated": ended | {"containerID": f"lab://{identity}"}})
        return code

    async def _probe(self, process: Process) -> None:
        """Started, then ready, then alive, as the container's probes say; at once where there is none."""
        host = self.setting.facts.pod_ips[0]
        startup, ready, alive = (
            Probe.of(self.spec, f"{kind}Probe", host) for kind in ("startup", "readiness", "liveness")
        )

        def kill_if_failed(passed: bool) -> None:
            if not passed:
                process.send(signal.SIGKILL)

        if startup:
            passed = asyncio.Event()
            starting = asyncio.create_task(startup.follow(lambda ok: passed.set() if ok else kill_if_failed(ok)))
            try:
                await passed.wait()
            finally:
                starting.cancel()
        self.report.started = True
        self._set_ready(ready is None)
        async with asyncio.TaskGroup() as tasks:
            if ready:
                tasks.create_task(ready.follow(self._set_ready))
            if alive:
                tasks.create_task(alive.follow(kill_if_failed))

    def _set_ready(self, ready: bool) -> None:
        self.report.ready = ready
        self.changed()
