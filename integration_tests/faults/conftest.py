"""A stage behind the fault proxy; in the end, the injected faults beside their effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.conftest import table_of
from integration_tests.faults.faulty_run import Site, items_left
from integration_tests.harness.faults.control import running_proxy
from integration_tests.harness.faults.through_proxy import routed_through_proxy
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from integration_tests.harness.faults.control import FaultControl
    from integration_tests.targets.interface import Target

OUTCOMES = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def faults(target: Target) -> Iterator[FaultControl]:
    """A fault proxy in front of the emulator."""
    assert target.aws is not None
    assert target.aws.endpoint_url is not None
    with running_proxy(target.aws.endpoint_url) as control:
        yield control


@pytest.fixture(scope="module")
async def routed(target: Target, faults: FaultControl) -> AsyncIterator[None]:
    """The functions of the stage under test reach AWS through the proxy, until the table is empty."""
    assert target.aws is not None
    with routed_through_proxy(target.aws, target.deployment, faults.url):
        yield
        await items_left(table_of(target))


@pytest.fixture
async def site(target: Target, faults: FaultControl, routed: None) -> AsyncIterator[Site]:  # noqa: ARG001 - in force
    """The stage under test behind the proxy, empty and without faults; those of a test end with it."""
    table = table_of(target)
    await eventually(table.size, 0, within=30)
    yield Site(target.deployment.websocket_url, table, faults)
    faults.replace()


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keeps a text until all tests are over, when it is shown under the name of the test."""
    outcomes = request.config.stash.setdefault(OUTCOMES, {})
    return lambda text: outcomes.update({request.node.name: text})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the injected counts beside the invariants."""
    if outcomes := config.stash.get(OUTCOMES, {}):
        terminalreporter.section("faults injected, and their effect")
        for name, text in outcomes.items():
            terminalreporter.line(f"{name}: {text}")
