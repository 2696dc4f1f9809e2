"""All mutants, by the part of the repository that they break."""

from __future__ import annotations

from integration_tests.mutants.catalogue import handlers, terraform

PARTS = {"handlers": handlers.MUTANTS, "terraform": terraform.MUTANTS}
MUTANTS = tuple(mutant for mutants in PARTS.values() for mutant in mutants)
