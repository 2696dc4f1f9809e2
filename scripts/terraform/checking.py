"""Initialise, validate and test Terraform configurations, two at a time."""

from __future__ import annotations

import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from scripts.asked_of_aws import RUNS, differences
from scripts.repository import REPOSITORY
from scripts.terraform import common
from scripts.terraform.common import WHOLE, TerraformError
from scripts.terraform.executable import TESTS_VERSION, executable
from scripts.terraform.processes import INTERRUPTED, killed_by_signals
from scripts.terraform.shared import SharedProviders
from scripts.terraform.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

T = TypeVar("T")

CHECKS_AT_ONCE = 2
FROM_A_RELEASE = "release-consumer"
"""Example that fetches its modules; integration_tests/releases applies it from a release of this tree."""
LOOK_SECONDS = 0.5
"""How often to look for a signal: one that arrives just before a wait does not end it."""


class _Checked(NamedTuple):
    text: str
    passed: int
    failed: int


def configurations() -> list[Path]:
    """Return every directory that is checked: the root, each module, each example that uses no release."""
    root = common.CONFIGURATION
    candidates = [root, *root.glob("modules/*"), *root.glob("examples/*")]
    checked = (directory for directory in candidates if any(directory.glob("*.tf")))
    return sorted(directory for directory in checked if directory.name != FROM_A_RELEASE)


def check(directories: Sequence[Path]) -> bool:
    """Check configurations; print one line for each, and Terraform's output for each that fails.

    Returns:
        Whether every check passed.

    Raises:
        TerraformError: Terraform is missing or unsuitable.
        KeyboardInterrupt: A signal arrived.
    """
    executable(TESTS_VERSION)
    passed = failed = 0
    common.GENERATED.mkdir(parents=True, exist_ok=True)
    with (
        killed_by_signals(),
        tempfile.TemporaryDirectory(dir=common.GENERATED, prefix="check-") as scratch,
        SharedProviders() as providers,
        ThreadPoolExecutor(CHECKS_AT_ONCE) as pool,
    ):
        checks = [pool.submit(_check_one, each, Path(scratch, str(n)), providers) for n, each in enumerate(directories)]
        for result in map(result_of, checks):
            if INTERRUPTED.is_set():
                continue
            print(result.text, flush=True)
            passed += result.passed
            failed += result.failed
    if INTERRUPTED.is_set():
        raise KeyboardInterrupt
    print(f"terraform: {passed} passed, {failed} failed")
    return failed == 0


def result_of(check: Future[T]) -> T:
    """Wait for the result of a check; Python handles signals between two waits."""
    while not wait([check], LOOK_SECONDS).done:
        pass
    return check.result()


def _check_one(directory: Path, scratch: Path, providers: SharedProviders) -> _Checked:
    """Check one configuration; a valid one counts as one check passed."""
    started = time.monotonic()
    scratch.mkdir()
    workspace = Workspace(directory, scratch, providers=providers)
    name = str(directory.resolve().relative_to(REPOSITORY))
    try:
        workspace.init(backend=False)
        workspace.validate()
        passed, failed = _count_tests(workspace.test())
        if (directory / WHOLE).is_dir():
            passed += _compare_states(workspace.states(WHOLE))
    except TerraformError as error:
        passed, failed = _count_tests(str(error))
        return _Checked(f"FAILED  {name}\n{error}", passed, max(failed, 1))
    seconds = time.monotonic() - started
    return _Checked(f"ok      {name:<40} valid, {passed} tests passed, {seconds:.1f} s", passed + 1, failed)


def _compare_states(states: Mapping[str, Mapping[str, Any]]) -> int:
    """Compare the states that runs left with the tables of ``asked_of_aws``; return the number of runs.

    Raises:
        TerraformError: Something differs, or a table had no run.
    """
    found = [line for run, state in sorted(states.items()) for line in differences(run, state)]
    found += [f"{run}: terraform/{WHOLE} has no run of this name" for run in RUNS.keys() - states.keys()]
    if found:
        raise TerraformError("Terraform asks AWS for something else than scripts/asked_of_aws:\n" + "\n".join(found))
    return len(states)


def _count_tests(text: str) -> tuple[int, int]:
    """Return how many runs passed and failed, by the last line of ``terraform test``."""
    found = re.search(r"(\d+) passed, (\d+) failed", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
