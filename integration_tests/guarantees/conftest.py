"""Further instances of the root, each applied once per session: applying is the slowest step of the suite.

One instance may be changed by tests; two have queued delivery. For each queue Terraform pauses three times for 25 s.
These two are therefore applied in the background, and their tests run last.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.conftest import show_during_test
from scripts.waiting import result_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future

    from integration_tests.targets.interface import Changeable, Target
    from scripts.local.aws import Aws
    from scripts.local.deployment import Deployment

SECOND = f"second-{secrets.token_hex(3)}"
SECOND_SHARDS = 4
QUEUE_SHARDS = 4
FIFO_SHARDS = 2
WITH_QUEUE: Mapping[str, Mapping[str, Any]] = {
    "with_queue": {"queued_delivery": {"enabled": True}, "shards_per_room": QUEUE_SHARDS},
    "with_fifo_queue": {"queued_delivery": {"enabled": True, "fifo": True}, "shards_per_room": FIFO_SHARDS},
}
"""Variables of the instances with queued delivery, by the fixture that gives them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests of queued delivery to the end."""
    items.sort(key=lambda item: bool(queues_of(item)))


def queues_of(item: pytest.Item) -> set[str]:
    """Return the fixtures with queued delivery that a test uses."""
    return WITH_QUEUE.keys() & set(getattr(item, "fixturenames", []))


@pytest.fixture(scope="session", autouse=True)
def being_deployed(request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[Deployment]]]:
    """The instances with queued delivery that the selected tests use; applied in threads from the first test on."""
    tests = [item for item in request.session.items if not item.get_closest_marker("skip")]
    needed = sorted({name for item in tests for name in queues_of(item)})
    if not needed:
        yield {}
        return
    target: Target = request.getfixturevalue("target")
    with ThreadPoolExecutor() as pool:
        yield {
            name: pool.submit(target.deploy_to_stay, f"queue-{secrets.token_hex(3)}", **WITH_QUEUE[name])
            for name in needed
        }


@pytest.fixture(scope="session")
def with_queue(being_deployed: Mapping[str, Future[Deployment]]) -> Deployment:
    """An instance with queued delivery."""
    return result_of(being_deployed["with_queue"], "an instance with queued delivery")


@pytest.fixture(scope="session")
def with_fifo_queue(being_deployed: Mapping[str, Future[Deployment]]) -> Deployment:
    """An instance with queued delivery that keeps the order."""
    return result_of(being_deployed["with_fifo_queue"], "an instance with a FIFO queue")


@pytest.fixture(scope="session")
def second(target: Target, request: pytest.FixtureRequest) -> Iterator[Changeable]:
    """A second instance beside the one under test, with another stage name and number of shards."""
    assert target.aws is not None
    show_during_test(request.config, "applying a second instance, which takes most of a minute")
    with target.deploy(SECOND, shards_per_room=SECOND_SHARDS, stage_name="other") as instance:
        yield instance
    assert names_of_second(target.aws) == [], "terraform destroy left something behind"


def names_of_second(aws: Aws) -> list[str]:
    """Return the names of the second instance's tables, APIs and functions."""
    tables = aws.dynamodb.list_tables()["TableNames"]
    apis = [api["Name"] for api in aws.apigatewayv2.get_apis()["Items"]]
    functions = [function["FunctionName"] for function in aws.functions.list_functions()["Functions"]]
    return [name for name in [*tables, *apis, *functions] if name.startswith(SECOND)]
