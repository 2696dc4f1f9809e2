"""Options, markers and fixtures of the integration tests; README.md explains them."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from integration_tests.harness.cloudwatch import CLOCKS_DIFFER_BY
from integration_tests.harness.crowd import Crowd
from integration_tests.harness.table import ROOM_PREFIX, ConnectionsTable
from integration_tests.queued_instances import being_deployed, queues_of, with_fifo_queue, with_history, with_queue
from integration_tests.targets import privacy
from integration_tests.targets.catalogue import TARGETS, create_target
from integration_tests.targets.interface import Capability, Target, TargetError
from scripts import command, event_loops, loopback
from scripts.descriptors import allow_sockets
from scripts.local.emulator import BUILD, troubles
from scripts.terraform import TerraformError
from scripts.waiting import eventually, long_waits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from scripts.local.deployment import Deployment

__all__ = ["being_deployed", "with_fifo_queue", "with_history", "with_queue"]
"""Fixtures from other files."""
PLACES = {
    "everywhere": "holds on every target, a stage known by its URL alone included",
    "needs_table": "holds on every target whose connections table may be read and written",
    "emulator_only": "changes the deployed stage, or opens more sockets than a stage in use should see",
    "live_only": "shows only on AWS",
    "without_target": "tests the harness itself, against nothing",
}
TARGET = pytest.StashKey[Target]()
TARGET_WAS_USED = pytest.StashKey[bool]()
MEASURED = pytest.StashKey[int]()
"""Number of tests that ran, whether they passed or failed."""
FAILED_IN_A_ROW = pytest.StashKey[int]()
FAILURES_BEFORE_A_LOOK = 3
"""Failures in a row after which the stage is checked again, because it may have gone away."""
LOGS_BEFORE = pytest.StashKey[dict[Path, int]]()
"""Sizes of the target's logs before a test, in bytes."""
LEAKS = pytest.StashKey[list[str]]()
"""Places where clients' data was written down."""
BEGAN_AT = pytest.StashKey[float]()
MOST_LEAKS = 20
"""Leaks that the summary shows."""
REPORTS = BUILD / "reports"

# How long an example takes says something about the machine, which may be busy with something else.
settings.register_profile("roomcast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("roomcast")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of target and load."""
    group = parser.getgroup("roomcast")
    group.addoption(
        "--target",
        metavar="{" + ",".join(sorted(TARGETS)) + "}",
        default=os.environ.get("TARGET") or "local",
        help="where Roomcast runs (default: environment variable TARGET, else local)",
    )
    group.addoption(
        "--connections", type=positive, metavar="N", help="sockets a test opens at once (default: the target's)"
    )
    group.addoption(
        "--model-examples",
        type=positive,
        default=25,
        metavar="N",
        help="stories that test_model.py makes up (default: 25)",
    )
    group.addoption("--websocket-url", metavar="URL", help="live target: the stage's wss:// URL")
    group.addoption(
        "--outputs", type=Path, metavar="FILE", help="live target: file with the output of `terraform output -json`"
    )


def positive(text: str) -> int:
    """Read a whole number above 0.

    Raises:
        argparse.ArgumentTypeError: The text is no such number.
    """
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def pytest_configure(config: pytest.Config) -> None:
    """Create the target, declare the markers, and let signals end the run as Ctrl-C does, with everything torn down."""
    declare_markers(config)
    config.stash[MEASURED] = config.stash[FAILED_IN_A_ROW] = 0
    config.stash[LEAKS] = []
    config.stash[BEGAN_AT] = time.time()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores the second one
            signal.signal(number, event_loops.interrupt)
    command.let_children_be_interrupted()
    loopback.reach_directly()
    long_waits.show = partial(show_during_test, config)
    try:
        config.stash[TARGET] = create_target(
            config.getoption("--target"), config.getoption("--websocket-url"), config.getoption("--outputs")
        )
    except TargetError as error:
        raise pytest.UsageError(str(error)) from None


def declare_markers(config: pytest.Config) -> None:
    """Declare the markers of all tests."""
    for marker, meaning in PLACES.items():
        config.addinivalue_line("markers", f"{marker}: {meaning}")
    config.addinivalue_line("markers", "requires(capability): skipped, with the reason, on a target that lacks it")
    config.addinivalue_line("markers", "long: takes long, so `make integration` leaves it to `make test-long`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check that every test says where it holds; on a live stage, deselect tests that need no stage.

    Tests of queued delivery come last, because their instances are being applied meanwhile.
    """
    aside: list[pytest.Item] = []
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here) or "tests" in item.path.relative_to(here).parts:
            item.add_marker("without_target")  # unit tests stand in a folder `tests` beside their subject
        place = only_place(item.nodeid, [marker.name for marker in item.iter_markers()])
        if place == "without_target" and config.stash[TARGET].name == "live":
            aside.append(item)
    if aside:
        config.hook.pytest_deselected(items=aside)
        items[:] = [item for item in items if item not in aside]
    items.sort(key=lambda item: bool(queues_of(item)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Check that the target can be tested, and skip the tests that do not hold on it.

    This happens after `-m` and `-k` have selected tests, so that a run without such tests needs no stage.

    Raises:
        pytest.UsageError: The target cannot be tested; pytest says so in one sentence and exits with status 4.
    """
    target = session.config.stash[TARGET]
    places = {item: only_place(item.nodeid, [marker.name for marker in item.iter_markers()]) for item in session.items}
    if set(places.values()) - {"without_target"} and not session.config.option.collectonly:
        try:
            target.check()
        except TargetError as error:
            raise pytest.UsageError(f"{error}; no test was run") from None
    for item, place in places.items():
        if reason := reason_to_skip(item, place, target):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note where the target's log ends before a test."""
    files = item.config.stash[TARGET].files()
    item.stash[LOGS_BEFORE] = {file: file.stat().st_size if file.exists() else 0 for file in files}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count the tests that ran, and show what the target warned of during one that failed.

    After some failures in a row, check that the stage still answers.
    """
    report = yield
    stash = item.config.stash
    if report.when == "call" and not report.skipped:
        stash[MEASURED] += 1
    if report.failed:
        for file, size in item.stash.get(LOGS_BEFORE, {}).items():
            if text := troubles(file, since=size):
                report.sections.append(("the target's warnings since the test began", text))
        stash[FAILED_IN_A_ROW] += 1
        if stash[FAILED_IN_A_ROW] >= FAILURES_BEFORE_A_LOOK and (sentence := why_unusable(stash[TARGET])):
            item.session.shouldfail = sentence
    elif report.when == "call" and report.passed:
        stash[FAILED_IN_A_ROW] = 0
    return report


def why_unusable(target: Target) -> str:
    """Return why a target can no longer be tested, or nothing if it can.

    Without this check, a stage that goes silent costs each remaining test a minute, and a nightly job its report.
    """
    with ThreadPoolExecutor() as aside:  # the tests' event loop may be running in this thread
        try:
            aside.submit(target.check).result()
        except TargetError as error:
            return f"the rest of the tests is left out: {error}"
    return ""


@pytest.hookimpl(trylast=True)  # once the reports are written
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that measured nothing, or that wrote down clients' data.

    The first ends like a run that found no test. Reports of a failed run are not searched, because they show the
    messages of its tests.
    """
    config = session.config
    if config.option.collectonly or exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        return
    if exitstatus == pytest.ExitCode.OK:
        began_at = config.stash[BEGAN_AT]
        written = [file for file in REPORTS.rglob("*") if file.is_file() and file.stat().st_mtime >= began_at]
        config.stash[LEAKS] += privacy.leaks_in_files(written)
        if not config.stash[MEASURED]:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    if config.stash[LEAKS]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def only_place(test: str, markers: list[str]) -> str:
    """Return the one marker that says where a test holds.

    Raises:
        pytest.UsageError: The test has none, or more than one.
    """
    places = [marker for marker in markers if marker in PLACES]
    if len(places) != 1:
        raise pytest.UsageError(f"{test} must carry exactly one of {', '.join(PLACES)}; it has {places or 'none'}")
    return places[0]


def reason_to_skip(item: pytest.Item, place: str, target: Target) -> str | None:
    """Return why a test cannot run on a target, or None if it can."""
    if place == "live_only" and target.name != "live":
        return f"shows only on AWS, and this is {target.name}"
    needed = [capability for marker in item.iter_markers("requires") for capability in marker.args]
    if place == "needs_table":
        needed.append(Capability.TABLE)
    if place == "emulator_only":
        needed.append(Capability.DEPLOYMENT)
    lacks = target.lacks()
    return next((f"{target.name}: {lacks[each]}" for each in needed if each in lacks), None)


def show_during_test(config: pytest.Config, line: str) -> None:
    """Write a line to the terminal although pytest captures a test's output."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if terminal is None:
        return
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        terminal.ensure_newline()
        terminal.write_line(line)
        terminal.flush()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Print the limits of this run, so that its green is not taken for more than it proves."""
    target = config.stash[TARGET]
    if found := config.stash[LEAKS]:
        show_leaks(terminalreporter, found)
    nothing_failed = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    if nothing_failed and not config.stash[MEASURED] and not config.option.collectonly:
        terminalreporter.section("nothing was measured")
        terminalreporter.line(f"Not one test ran on the target {target.name!r}, so this run proves nothing.")
    if not config.stash.get(TARGET_WAS_USED, default=False):
        return
    terminalreporter.section(f"what the target {target.name!r} cannot show")
    for capability, reason in target.lacks().items():
        terminalreporter.line(f"{capability.value}: {reason}")
    if text := target.failure_report():
        terminalreporter.section("the target's log")
        terminalreporter.line(text)


def show_leaks(terminalreporter: pytest.TerminalReporter, found: list[str]) -> None:
    """Print where clients' data was written down."""
    terminalreporter.section("clients' data was written down")
    for each in found[:MOST_LEAKS]:
        terminalreporter.line(each)
    terminalreporter.line(f"{len(found)} places in all: the run has failed, even if all of its tests passed.")


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The entered target; it is left after the last test, and its log stays if a test failed."""
    with ExitStack() as stack:
        ready = request.config.stash[TARGET]
        request.config.stash[TARGET_WAS_USED] = True
        if ready.name != "live":
            show_during_test(request.config, f"getting the target {ready.name!r} ready, which takes most of a minute")
        try:
            stack.enter_context(ready)
        except (TargetError, TerraformError) as error:
            ready.failed = True
            pytest.exit(f"the target cannot be used: {error}", returncode=pytest.ExitCode.INTERNAL_ERROR)
        began_at = time.time() - CLOCKS_DIFFER_BY
        yield ready
        request.config.stash[LEAKS] += privacy.leaks(ready, began_at)
        ready.failed = request.session.testsfailed > 0 or bool(request.config.stash[LEAKS])


@pytest.fixture(scope="session")
def connections(request: pytest.FixtureRequest, target: Target) -> int:
    """How many sockets a test should open at once: ``--connections``, or the target's default."""
    allow_sockets()
    return int(request.config.getoption("--connections") or target.default_connections)


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room that no other test, and no other run against the same stage, uses."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name.removeprefix("test_"))[:30]
    return f"{ROOM_PREFIX}{name}-{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def table(target: Target) -> ConnectionsTable:
    """The connections table of the stage under test, for tests marked needs_table or emulator_only."""
    return table_of(target)


def table_of(target: Target, deployment: Deployment | None = None) -> ConnectionsTable:
    """Return the connections table of the stage under test or of another instance on the same target."""
    assert target.aws is not None, f"{target.name}: {target.lacks()[Capability.TABLE]}"
    return ConnectionsTable.of_stage(target.aws.dynamodb, (deployment or target.deployment).outputs)


@pytest.fixture(scope="session")
async def nothing_left(target: Target) -> AsyncIterator[None]:
    """Wait after the last test until the table is empty, if only the tests use it."""
    yield
    if target.owns_table:
        await eventually(table_of(target).size, 0, within=60, what="the connections table to become empty")


@pytest.fixture
async def crowd(target: Target, nothing_left: None) -> AsyncIterator[Crowd]:  # noqa: ARG001 - checked in the end
    """Opens clients and closes them all; fails the test if one has received a message that the test did not take."""
    crowd = Crowd(target.deployment.websocket_url)
    yield crowd
    await crowd.finish()
