"""Every mutant is caught by the tests that are named for it; the handlers as they are pass them all, five times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.mutants.catalogue import MUTANTS, Mutant
from integration_tests.mutants.laboratory import Laboratory
from integration_tests.mutants.patching import copy
from integration_tests.mutants.runs import FAILED, PASSED, run_tests, without_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from integration_tests.targets.interface import Target

pytestmark = [pytest.mark.emulator_only, pytest.mark.long]

UNIT_CONTROL = "handlers/tests/test_default.py::test_the_answer_says_what_was_wrong"
SOCKET_CONTROL = "integration_tests/routes/test_default.py::test_answer_repeats_nothing_of_the_message"
"""Tests that no mutant fails: it is broken in one way, not altogether."""
PATIENCE = 0.5
"""Most mutants are noticed because something does not come."""
TIMES = 5


@pytest.fixture(scope="session")
def laboratory(target: Target) -> Iterator[Laboratory]:
    """An instance of its own."""
    assert target.aws is not None
    with target.deploy("specimen") as instance:
        yield Laboratory(target.aws, instance.deployment())


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name.replace(" ", "-") for mutant in MUTANTS])
def test_mutant_is_caught(mutant: Mutant, tmp_path: Path, laboratory: Laboratory) -> None:
    handlers = copy(tmp_path, mutant.edits)

    results = run_tests(tmp_path, [*mutant.units, UNIT_CONTROL])
    if mutant.sockets:
        results |= laboratory.test(handlers, [*mutant.sockets, SOCKET_CONTROL], PATIENCE)

    named = {without_case(each) for each in (*mutant.units, *mutant.sockets)}
    assert named, "no test is named for it"
    survived = {test: results.get(test) for test in named if results.get(test) != FAILED}
    assert not survived, f"a mutant that {mutant.name} survives"
    broken = {test: result for test, result in results.items() if test not in named and result != PASSED}
    assert not broken, "it is broken in more than one way"


@pytest.mark.parametrize("time", range(1, TIMES + 1))
def test_handlers_as_they_are_pass(tmp_path: Path, laboratory: Laboratory, time: int) -> None:
    handlers = copy(tmp_path)
    units = sorted({UNIT_CONTROL, *every(mutant.units for mutant in MUTANTS)})
    sockets = sorted({SOCKET_CONTROL, *every(mutant.sockets for mutant in MUTANTS)})

    results = run_tests(tmp_path, units) | laboratory.test(handlers, sockets)

    assert results.keys() == {without_case(each) for each in (*units, *sockets)}
    failed = {test: result for test, result in results.items() if result != PASSED}
    assert not failed, f"in run {time} of {TIMES}"


def every(groups: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield what is in any group."""
    for group in groups:
        yield from group
