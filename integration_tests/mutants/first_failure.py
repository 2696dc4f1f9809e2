"""Plugin of pytest (``-p integration_tests.mutants.first_failure``): Hypothesis stops at the first failure.

It neither shrinks the example nor stores it, because a mutant's failure needs no explanation.
"""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], database=None)
settings.load_profile("mutants")
