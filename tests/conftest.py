"""Settings for every test."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A busy machine is slow at times; that is no failure of a property.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same code gets the same verdict: new examples are looked for on purpose, with HYPOTHESIS_PROFILE=explore.
settings.register_profile("repeatable", settings.get_profile("explore"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
