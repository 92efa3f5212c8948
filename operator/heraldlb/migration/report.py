"""A migration as a whole: the objects, the account, the proof, what to change on Services, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from heraldlb.api.objects import mapping, text
from heraldlb.controller.cluster import Cluster
from heraldlb.controller.settings import ControllerSettings
from heraldlb.migration.advice import Advice, advise, honoured
from heraldlb.migration.convert import Origin, Sorted, convert
from heraldlb.migration.manifests import Manifest
from heraldlb.migration.notes import Note
from heraldlb.migration.proof import Proof, Unserved, prove
from heraldlb.migration.steps import Step, steps
from heraldlb.planning.changes import Change


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """All that there is to say before a migration."""

    origins: tuple[Origin, ...]
    """Whose configuration was found."""
    objects: tuple[Manifest, ...]
    """Herald's objects, to be applied."""
    notes: tuple[Note, ...]
    """What of the old configuration is not in them as it was, by place."""
    ignored: tuple[str, ...]
    """Objects that were given and are nobody's configuration."""
    proved: bool
    """Whether it is known which Services there are."""
    services: tuple[Change, ...]
    """What becomes of each."""
    unserved: tuple[Unserved, ...]
    advice: tuple[Advice, ...]
    """What to change on Services."""
    aliased: int
    """How many Services have annotations of other projects that are read as they are."""
    steps: tuple[Step, ...]

    @property
    def keeps_all(self) -> bool:
        """Whether every Service keeps its addresses, as far as it is known."""
        return Proof(self.services, self.unserved).holds


def report(
    found: Sorted,
    cluster: Cluster | None,
    settings: ControllerSettings,
    now: float,
    objects_file: str = "",
) -> MigrationReport:
    """The report on what was found; `cluster`: with Services and namespaces, None where they are not known.

    `now`: Unix seconds. Raises DocumentError.
    """
    converted = convert(found.configuration, _namespaces(found, cluster))
    proof = prove(cluster, converted.pools, settings, now) if cluster is not None else Proof()
    services = list(cluster.services.values()) if cluster is not None else []
    return MigrationReport(
        origins=tuple(found.configuration),
        objects=converted.objects,
        notes=tuple(sorted(converted.notes, key=lambda note: (note.source, note.line, note.title))),
        ignored=tuple(f"{document.source}: {document.title}" for document in found.others),
        proved=cluster is not None,
        services=proof.services,
        unserved=proof.unserved,
        advice=advise(services),
        aliased=honoured(services),
        steps=steps(found.configuration, objects_file, settings.load_balancer_class) if converted.objects else (),
    )


def _namespaces(found: Sorted, cluster: Cluster | None) -> Mapping[str, Mapping[str, str]]:
    """The labels of each namespace, as far as they are known."""
    if cluster is not None:
        return {key.name: cluster.namespace_labels(key.name) for key in cluster.namespaces}
    listed = [document.raw for document in found.state if document.kind == "Namespace"]
    return {text(raw, "metadata", "name"): mapping(raw, "metadata", "labels") for raw in listed}
