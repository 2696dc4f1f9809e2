"""A plugin of pytest (``-p integration_tests.mutants.first_failure``): Hypothesis stops at a mutant's first failure."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], database=None)
settings.load_profile("mutants")
