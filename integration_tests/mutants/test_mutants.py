"""Every mutant fails the tests named for it; the unchanged code passes them all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from integration_tests.mutants.catalogue import MUTANTS
from integration_tests.mutants.installer import Installer
from integration_tests.mutants.mutant import Mutant
from integration_tests.mutants.patching import copy
from integration_tests.mutants.runs import FAILED, PASSED, run_tests, without_case
from integration_tests.mutants.terraform_runs import TerraformTests
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from integration_tests.mutants.mutant import Edit
    from integration_tests.mutants.runs import Results
    from integration_tests.targets.interface import Target

    Begun = Mapping[str, Sequence[Future[Results]]]
    """Pending results by the mutant's name."""

pytestmark = [pytest.mark.emulator_only, pytest.mark.long]

UNIT_CONTROL = "handlers/tests/test_default.py::test_the_answer_says_what_was_wrong"
HARNESS_CONTROL = "integration_tests/harness/tests/test_latency.py::test_nothing_recorded_is_zero"
SOCKET_CONTROL = "integration_tests/routes/test_default.py::test_answer_repeats_nothing_of_the_message"
"""Tests that every mutant must pass, because a mutant breaks one behaviour and no other."""
PATIENCE = 0.5
"""Factor for deadlines, below 1 because most mutants are noticed when an expected message does not come."""
TIMES = 3


@pytest.fixture(scope="session")
def installer(target: Target) -> Iterator[Installer]:
    """An installer with an instance of its own."""
    assert target.aws is not None
    with target.deploy("mutant") as instance:
        yield Installer(target.aws, instance.deployment())


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> TerraformTests:
    """Runs tests in copies of the modules."""
    return TerraformTests(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def begun(request: pytest.FixtureRequest, terraform: TerraformTests) -> Iterator[Begun]:
    """Runs that need no emulator, begun in threads while other mutants are tested against the emulator."""
    mutants = list(chosen(request.session))
    with ExitStack() as stack:
        units, modules = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        for pool in (units, modules):
            stack.callback(pool.shutdown, cancel_futures=True)
        yield {
            mutant.name: [
                units.submit(run_units, mutant.units, mutant.edits),
                modules.submit(terraform.run, mutant.terraform, mutant.edits),
            ]
            for mutant in mutants
        }


def chosen(session: pytest.Session) -> Iterator[Mutant]:
    """Yield the mutants that pytest selected."""
    for item in session.items:
        if isinstance(item, pytest.Function) and item.originalname == test_mutant_is_caught.__name__:
            mutant = item.callspec.params["mutant"]
            assert isinstance(mutant, Mutant)
            yield mutant


def run_units(tests: Sequence[str], edits: Iterable[Edit] = ()) -> Results:
    """Run tests of pytest, and a control that every mutant passes, in a copy of the repository with edits."""
    if not tests:
        return {}
    results: Results = {}
    with TemporaryDirectory() as folder:
        root = copy(Path(folder), edits)
        # Separate runs, because each group has a conftest with options of its own.
        of_harness = [test for test in tests if test.startswith("integration_tests/")]
        for group in (of_harness, [test for test in tests if test not in of_harness]):
            if group:
                results |= run_tests(root, [*group, HARNESS_CONTROL if group is of_harness else UNIT_CONTROL])
    return results


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name.replace(" ", "-") for mutant in MUTANTS])
def test_mutant_is_caught(mutant: Mutant, tmp_path: Path, request: pytest.FixtureRequest, begun: Begun) -> None:
    results: Results = {}
    if mutant.sockets:
        installer: Installer = request.getfixturevalue("installer")
        handlers = copy(tmp_path, mutant.edits) / "handlers"
        results |= installer.test(handlers, [*mutant.sockets, SOCKET_CONTROL], PATIENCE)
    for done in begun[mutant.name]:
        results |= done.result()

    named = {without_case(each) for each in mutant.tests}
    assert named, "no test is named for it"
    survived = {test: results.get(test) for test in named if results.get(test) != FAILED}
    assert not survived, f"a mutant that {mutant.name} survives"
    broken = {test: result for test, result in results.items() if test not in named and result != PASSED}
    assert not broken, "it is broken in more than one way"


def test_code_as_it_is_passes(terraform: TerraformTests) -> None:
    units = sorted({UNIT_CONTROL, HARNESS_CONTROL, *every(mutant.units for mutant in MUTANTS)})
    runs = sorted(set(every(mutant.terraform for mutant in MUTANTS)))

    results = run_units(units) | terraform.run(runs)

    assert results == dict.fromkeys([*map(without_case, units), *runs], PASSED)


@pytest.mark.parametrize("time", range(1, TIMES + 1))
def test_handlers_as_they_are_pass(installer: Installer, time: int) -> None:
    sockets = sorted({SOCKET_CONTROL, *every(mutant.sockets for mutant in MUTANTS)})

    results = installer.test(REPOSITORY / "handlers", sockets)

    assert results == dict.fromkeys(map(without_case, sockets), PASSED), f"in run {time} of {TIMES}"


def every(groups: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the elements of all groups."""
    for group in groups:
        yield from group
