"""Renders `docs/reference.md` from the code and the custom resource definitions, so that it is never stale."""
