"""Settings for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is slow at times; that is no failure of a property.
settings.register_profile("herald", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("herald")
