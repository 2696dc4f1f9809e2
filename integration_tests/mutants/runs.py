"""Runs pytest in a subprocess and reads the outcome of each test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_RUN = 550.0
LONGEST_TEST = 60.0
"""Seconds. A mutant may make a test wait for ever."""

SEED = 1
"""Seed of Hypothesis: a mutant meets the same examples in every run, so that none survives by chance."""

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"

Results = dict[str, str]
"""``passed``, ``failed`` or ``not run`` by node id; one entry for all cases of a parametrized test."""


class RunError(Exception):
    """pytest wrote no report; the message is its output."""


def run_tests(
    folder: Path, tests: Sequence[str], options: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Results:
    """Run tests and return their outcomes.

    Args:
        folder: Working directory, which holds the tests.
        tests: Node ids.
        options: Further options of pytest.
        environment: Further environment variables. Variables of AWS and pytest are not inherited.

    Raises:
        RunError: pytest wrote no report.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))}
    with TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}"]
        command += [f"--hypothesis-seed={SEED}", f"--timeout={scaled(LONGEST_TEST)}", *options, *tests]
        variables = {**inherited, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
        within = scaled(LONGEST_RUN)
        run = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=within
        )
        if not report.exists():
            raise RunError(f"{run.stdout}\n{run.stderr}")
        return read_results(report)


def read_results(report: Path) -> Results:
    """Read a JUnit report.

    A test has failed if one of its cases has. An error during set-up counts as ``not run``.
    """
    cases: defaultdict[str, list[str]] = defaultdict(list)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest has written it
        module, _, classes = case.attrib["classname"].partition(".test_")
        name, *inner = f"test_{classes}".split(".")
        file = f"{module.replace('.', '/')}/{name}.py"
        cases["::".join([file, *inner, case.attrib["name"].partition("[")[0]])].append(outcome(case))
    return {test: min(outcomes, key=[FAILED, NOT_RUN, PASSED].index) for test, outcomes in cases.items()}


def outcome(case: ET.Element) -> str:
    """Return the outcome of one case; an error on teardown is a failure."""
    failed_in_the_end = any(error.attrib["message"].startswith("failed on teardown") for error in case.iter("error"))
    if case.find("failure") is not None or failed_in_the_end:
        return FAILED
    return PASSED if case.find("error") is None and case.find("skipped") is None else NOT_RUN


def without_case(node_id: str) -> str:
    """Return a node id without the case of a parametrized test."""
    return node_id.partition("[")[0]
