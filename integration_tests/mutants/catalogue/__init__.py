"""All mutants, by the part of the repository they break."""

from __future__ import annotations

from integration_tests.mutants.catalogue import (
    constants,
    delivery,
    handlers,
    harness,
    lines,
    pacing,
    scripts,
    terraform,
    worker,
)

PARTS = {
    "handlers": handlers.MUTANTS,
    "delivery": delivery.MUTANTS,
    "worker": worker.MUTANTS,
    "constants": constants.MUTANTS,
    "pacing": pacing.MUTANTS,
    "settings and lines": lines.MUTANTS,
    "terraform": terraform.MUTANTS,
    "scripts": scripts.MUTANTS,
    "harness": harness.MUTANTS,
}
MUTANTS = tuple(mutant for mutants in PARTS.values() for mutant in mutants)
