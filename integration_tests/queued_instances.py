"""Instances of the root with queued delivery or a history table, applied once per session beside the first tests.

For each queue Terraform pauses three times for 25 s. These instances are therefore applied in the background, and their
tests run last. ``conftest.py`` imports the fixtures, so that all folders share the instances.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness.table import ROOM_PREFIX
from scripts.waiting import result_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future

    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

QUEUE_SHARDS = 4
FIFO_SHARDS = 2
PRESENCE_ROOM = f"{ROOM_PREFIX}logged-seen-"
"""Begins the names of rooms that keep their messages and tell who comes and goes, in the instance with a queue."""
LOGGED_ROOM = f"{ROOM_PREFIX}logged-"
"""Begins the names of rooms that keep their messages in the instance with a queue."""
LOADED_ROOM = f"{ROOM_PREFIX}2"
"""Begins the names of the rooms of load runs, which go on with the year."""
WITH_QUEUE: Mapping[str, Mapping[str, Any]] = {
    "with_queue": {
        "queued_delivery": {"enabled": True},
        "shards_per_room": QUEUE_SHARDS,
        "history_rooms": [f"{LOGGED_ROOM}*", f"{LOADED_ROOM}*"],
        "presence_rooms": [f"{PRESENCE_ROOM}*"],
        "presence_window_seconds": 1,
    },
    "with_history": {"history_rooms": ["*"]},
    "with_fifo_queue": {"queued_delivery": {"enabled": True, "fifo": True}, "shards_per_room": FIFO_SHARDS},
}
"""Variables of the instances, by the fixture that gives them."""


def queues_of(item: pytest.Item) -> set[str]:
    """Return the fixtures of this file that a test uses."""
    return WITH_QUEUE.keys() & set(getattr(item, "fixturenames", []))


@pytest.fixture(scope="session", autouse=True)
def being_deployed(request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[Deployment]]]:
    """The instances that the selected tests use; applied in threads from the first test on."""
    tests = [item for item in request.session.items if not item.get_closest_marker("skip")]
    needed = sorted({name for item in tests for name in queues_of(item)})
    if not needed:
        yield {}
        return
    target: Target = request.getfixturevalue("target")
    with ThreadPoolExecutor() as pool:
        yield {
            name: pool.submit(target.deploy_to_stay, f"more-{secrets.token_hex(3)}", **WITH_QUEUE[name])
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
def with_history(being_deployed: Mapping[str, Future[Deployment]]) -> Deployment:
    """An instance whose rooms all keep their messages."""
    return result_of(being_deployed["with_history"], "an instance with a history table")
