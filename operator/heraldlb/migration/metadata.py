"""Labels and annotations of objects that are converted."""

from __future__ import annotations

from typing import Final

from heraldlb.migration.notes import Fields

_BOOKKEEPING: Final = (
    "kubectl.kubernetes.io/",
    "meta.helm.sh/",
    "helm.sh/",
    "app.kubernetes.io/",
    "argocd.argoproj.io/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
)
"""What tools write for themselves; carried over, it would make them take the new object for theirs."""


def metadata(fields: Fields) -> None:
    """Look at `metadata`, and note labels and annotations that a user may have written: they are not carried."""
    inner = fields.inner("metadata")
    for key in inner.raw:
        if key not in ("labels", "annotations"):
            inner.take(key)
    for key in ("labels", "annotations"):
        if key in inner:
            entries = inner.inner(key)
            for name in entries.raw:
                if name.startswith(_BOOKKEEPING):
                    entries.take(name)
                else:
                    entries.refuse(
                        name, "labels and annotations are not carried: add it to the new object if you use it"
                    )
