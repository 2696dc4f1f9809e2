"""Options, markers and fixtures of the integration tests; README.md explains them."""

from __future__ import annotations

import os
import re
import secrets
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.crowd import Crowd
from integration_tests.harness.deadlines import eventually
from integration_tests.harness.table import ROOM_PREFIX, ConnectionsTable
from integration_tests.load.descriptors import allow_sockets
from integration_tests.targets.catalogue import TARGETS, create_target
from integration_tests.targets.interface import Capability, Target, TargetError
from scripts import loopback
from scripts.terraform import TerraformError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from integration_tests.targets.interface import Deployment

PLACES = {
    "everywhere": "holds on every target, a stage known by its URL alone included",
    "needs_table": "holds on every target whose connections table may be read and written",
    "emulator_only": "changes the deployed stage, or opens more sockets than a stage in use should see",
    "live_only": "shows only on AWS",
    "without_target": "tests the harness itself, against nothing",
}
TARGET = pytest.StashKey[Target]()
TARGET_WAS_USED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say what to test and how hard."""
    group = parser.getgroup("roomcast")
    group.addoption(
        "--target",
        choices=sorted(TARGETS),
        default=os.environ.get("TARGET", "local"),
        help="where Roomcast runs (default: environment variable TARGET, else local)",
    )
    group.addoption("--connections", type=int, metavar="N", help="sockets a test opens at once (default: the target's)")
    group.addoption(
        "--model-examples", type=int, default=25, metavar="N", help="stories that test_model.py makes up (default: 25)"
    )
    group.addoption("--websocket-url", metavar="URL", help="live target: the stage's wss:// URL")
    group.addoption(
        "--outputs", type=Path, metavar="FILE", help="live target: what `terraform output -json` prints, as a file"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the target, declare the markers, and let SIGTERM end the run as Ctrl-C does: with everything torn down."""
    for marker, meaning in PLACES.items():
        config.addinivalue_line("markers", f"{marker}: {meaning}")
    config.addinivalue_line("markers", "requires(capability): skipped, with the reason, on a target that lacks it")
    config.addinivalue_line("markers", "long: takes long, so `make integration` leaves it to `make test-long`")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    loopback.reach_directly()
    try:
        config.stash[TARGET] = create_target(
            config.getoption("--target"), config.getoption("--websocket-url"), config.getoption("--outputs")
        )
    except TargetError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check that every test says where it holds, and skip those that do not hold on this target."""
    target = config.stash[TARGET]
    for item in items:
        if "tests" in item.path.relative_to(Path(__file__).parent).parts:
            item.add_marker("without_target")  # unit tests stand in a folder `tests` beside what they test
        place = only_place(item.nodeid, [marker.name for marker in item.iter_markers()])
        if reason := reason_to_skip(item, place, target):
            item.add_marker(pytest.mark.skip(reason=reason))


def only_place(test: str, markers: list[str]) -> str:
    """Return the one marker that says where a test holds.

    Raises:
        pytest.UsageError: There is none, or more than one.
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what this run could not show, so that nobody reads more into its green than it proves."""
    target = config.stash[TARGET]
    if not config.stash.get(TARGET_WAS_USED, default=False):
        return
    terminalreporter.section(f"what the target {target.name!r} cannot show")
    for capability, reason in target.lacks().items():
        terminalreporter.line(f"{capability.value}: {reason}")
    if text := target.failure_report():
        terminalreporter.section("the target's log")
        terminalreporter.line(text)


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The target, ready; what it made is removed when the last test is over, its log kept if one failed."""
    with ExitStack() as stack:
        ready = request.config.stash[TARGET]
        request.config.stash[TARGET_WAS_USED] = True
        try:
            stack.enter_context(ready)
        except (TargetError, TerraformError) as error:
            ready.failed = True
            pytest.exit(f"the target cannot be used: {error}", returncode=pytest.ExitCode.INTERNAL_ERROR)
        yield ready
        ready.failed = request.session.testsfailed > 0


@pytest.fixture(scope="session")
def connections(request: pytest.FixtureRequest, target: Target) -> int:
    """How many sockets a test should open at once: ``--connections``, or what suits the target."""
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
    """Return the connections table of a target that shows it: the stage's under test, or another instance's."""
    assert target.aws is not None, f"{target.name}: {target.lacks()[Capability.TABLE]}"
    return ConnectionsTable.of_stage(target.aws.dynamodb, (deployment or target.deployment).outputs)


@pytest.fixture(scope="session")
async def nothing_left(target: Target) -> AsyncIterator[None]:
    """Where the table is ours alone: after the last test it must become empty."""
    yield
    if target.owns_table:
        await eventually(table_of(target).size, 0, within=60)


@pytest.fixture
async def crowd(target: Target, nothing_left: None) -> AsyncIterator[Crowd]:  # noqa: ARG001 - checked in the end
    """Opens clients; fails the test if one of them received what the test did not look at; closes them all."""
    crowd = Crowd(target.deployment.websocket_url)
    yield crowd
    await crowd.finish()
