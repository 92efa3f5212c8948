"""Reads all that a story needs, and has the agents concerned tell what only they know."""

from __future__ import annotations

from dataclasses import replace

from heraldlb.api.objects import NamespacedName
from heraldlb.cli.kubectl.exits import CommandError, Exit
from heraldlb.cli.kubectl.explain.asking import ask
from heraldlb.cli.kubectl.explain.report import StoryReport, informants, others, story, subject, with_answers
from heraldlb.cli.kubectl.installation import installation
from heraldlb.cli.kubectl.reading import read, read_service
from heraldlb.cli.kubectl.snapshot import Snapshot
from heraldlb.kube.client import Api

_KINDS = ("pools", "announcements", "records", "services", "namespaces", "nodes", "pods", "leases", "events")


async def read_story(api: Api, wanted: NamespacedName) -> StoryReport:
    """The story of a Service. Raises CommandError where it does not exist; ApiError, ApiUnavailableError."""
    raw = await read_service(api, wanted)
    about = {"fieldSelector": f"regarding.kind=Service,regarding.name={wanted.name}"}
    snapshot = await read(api, *_KINDS, narrowed={"events": about})
    if (service := subject(snapshot, wanted)) is None:
        # It is of another type, or came just now.
        snapshot = replace(snapshot, services=(*snapshot.services, raw))
        service = subject(snapshot, wanted)
    if service is None:
        raise CommandError(f"there is no Service {wanted}", Exit.NOT_FOUND)
    snapshot = await _with_slices(api, snapshot, [service.id, *others(snapshot, service)])
    herald = installation(snapshot)
    report = story(snapshot, service)
    agents = [agent for node in informants(report, herald) if (agent := herald.agent_on(node)) is not None]
    return with_answers(report, await ask(api, agents), herald)


async def _with_slices(api: Api, snapshot: Snapshot, services: list[NamespacedName]) -> Snapshot:
    """The EndpointSlices of these Services, and maybe of others of the same names."""
    names = ",".join(sorted({service.name for service in services}))
    selector = {"labelSelector": f"kubernetes.io/service-name in ({names})"}
    found = await read(api, "slices", narrowed={"slices": selector})
    return replace(snapshot, slices=found.slices, unread={**snapshot.unread, **found.unread})
