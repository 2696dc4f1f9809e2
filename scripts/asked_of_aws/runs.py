"""The table of each run of ``terraform/tests/whole/``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.asked_of_aws.comparison import compare, made_by
from scripts.asked_of_aws.functions import EXECUTION, TABLE_KEY, added, functions, too_wide, worker
from scripts.asked_of_aws.objects import (
    QUEUE_URL,
    Everywhere,
    in_use,
    members,
    objects_of_api,
    objects_of_backend,
    objects_of_function,
    objects_of_queue,
    outputs,
    permission,
    remembered,
    routes_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.asked_of_aws.functions import Function
    from scripts.asked_of_aws.objects import Table

    Functions = Mapping[str, Function]

LOG_KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/logs"
BOUNDARY = "arn:aws-cn:iam::111122223333:policy/boundary"


def everything_on(more: Functions) -> Table:
    """Return the table of the run ``everything_on``."""
    everywhere = Everywhere(
        "chat", "v2", "x86_64", {"team": "talkers"}, 7, BOUNDARY, LOG_KEY, "zips", "../build/handlers"
    )
    shared = {
        "ROOMCAST_DNS_SUFFIX": "amazonaws.com.cn",
        "ROOMCAST_LOG_LEVEL": "DEBUG",
        "ROOMCAST_MANAGEMENT_ENDPOINT": "https://ws.example.com/a1b2c3d4e5/v2",
        "ROOMCAST_PACE": "2500.5",
        "ROOMCAST_SHARDS_PER_ROOM": "4",
        "ROOMCAST_SHARDS_READ": "6",
        "ROOMCAST_TABLE_NAME": "members",
    }
    queue = {"ROOMCAST_QUEUE_FIFO": "true", "ROOMCAST_QUEUE_URL": QUEUE_URL}
    all_functions = {
        **functions("v2", shared, queue),
        "fanout_worker": worker("v2", {**shared, **queue}, 512, 40),
        **_told(more, shared),
    }
    table = {
        **objects_of_backend(all_functions),
        **remembered("true", "0000100", "0000110"),
        **in_use("chat", "v2", "members", TABLE_KEY),
        "module.backend.terraform_data.queue[0]": {"input": {"fifo": True}},
        **members("members", {"team": "talkers"}, protected=True, restorable=False, key=TABLE_KEY),
        **objects_of_api(
            everywhere,
            {
                **routes_of(all_functions, 21, 22.5),
                "plain": ("plain", 29000, 21, 22.5),
                "search/room": ("search:live", 13000, 11, 12.5),
            },
            limits=(21, 22.5),
            logs=True,
            authorization="AWS_IAM",
        ),
        **outputs(all_functions, everywhere, shared, access_log="/aws/apigateway/chat/v2"),
        **objects_of_queue(everywhere, fifo=True, visibility=240, batch_size=3, concurrency=5),
        'module.backend.aws_lambda_permission.additional_route["plain"]': permission(
            "plain", f"{EXECUTION}/v2/plain", "chat-plain-"
        ),
        'module.backend.aws_lambda_permission.additional_route["search/room"]': {
            **permission("search", f"{EXECUTION}/v2/search/room", "chat-search-room-"),
            "qualifier": "live",
        },
    }
    for handler, function in all_functions.items():
        table |= objects_of_function(handler, function, everywhere)
    return table


SHARED_BY_DEFAULT = {
    "ROOMCAST_DNS_SUFFIX": "amazonaws.com.cn",
    "ROOMCAST_LOG_LEVEL": "INFO",
    "ROOMCAST_MANAGEMENT_ENDPOINT": "https://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/live",
    "ROOMCAST_PACE": "0",
    "ROOMCAST_SHARDS_PER_ROOM": "1",
    "ROOMCAST_SHARDS_READ": "1",
    "ROOMCAST_TABLE_NAME": "roomcast-connections",
}
BY_DEFAULT = Everywhere(
    "roomcast", "live", "arm64", {}, 30, None, None, None, "modules/backend/../../../build/handlers"
)


def everything_off(more: Functions) -> Table:
    """Return the table of the run ``everything_off``, which sets no variable."""
    return {
        **_with_defaults({**functions("live", SHARED_BY_DEFAULT, {}), **_told(more, SHARED_BY_DEFAULT)}),
        **remembered("false", "0000001", "0000001"),
    }


def standard_queue(
    more: Functions, batch_size: int = 10, concurrency: int = 10, memory_size: int = 1769, timeout: int = 30
) -> Table:
    """Return the table of the run ``standard_queue``, which only enables queued delivery.

    Args:
        more: Functions that the table does not name.
        batch_size: Messages per invocation of a worker.
        concurrency: Workers at a time.
        memory_size: A worker's memory in MB.
        timeout: A worker's timeout in seconds.
    """
    queue = {"ROOMCAST_QUEUE_FIFO": "false", "ROOMCAST_QUEUE_URL": QUEUE_URL}
    all_functions = {
        **functions("live", SHARED_BY_DEFAULT, queue),
        "fanout_worker": worker("live", {**SHARED_BY_DEFAULT, **queue}, memory_size, timeout),
        **_told(more, SHARED_BY_DEFAULT),
    }
    return {
        **_with_defaults(all_functions),
        **remembered("true", "0000001", "0000001"),
        "module.backend.terraform_data.queue[0]": {"input": {"fifo": False}},
        **objects_of_queue(
            BY_DEFAULT, fifo=False, visibility=6 * timeout, batch_size=batch_size, concurrency=concurrency
        ),
    }


def standard_queue_of_choice(more: Functions) -> Table:
    """Return the table of the run ``standard_queue_of_choice``: a standard queue without a default number."""
    return standard_queue(more, batch_size=7, concurrency=6, memory_size=1024, timeout=45)


def keys_without_queue(more: Functions) -> Table:
    """Return the table of the run ``keys_without_queue``, which only sets keys and a boundary."""
    return {
        **_with_defaults(
            {**functions("live", SHARED_BY_DEFAULT, {}), **_told(more, SHARED_BY_DEFAULT)},
            replace(BY_DEFAULT, log_key=LOG_KEY, boundary=BOUNDARY),
            table_key=TABLE_KEY,
        ),
        **remembered("false", "0000001", "0000001"),
    }


class Numbers(NamedTuple):
    """All numbers that a caller of the root may choose.

    Attributes:
        retention: Days that log lines are kept.
        pace: Messages per second, as the functions read it.
        shards: Partitions of a room.
        limits: The stage's limits of burst and rate.
        plain: Time-out in ms of the route ``plain``, and its limits of burst and rate.
        batch_size: Messages per invocation of a worker.
        concurrency: Workers at a time.
        memory_size: A worker's memory in MB.
        timeout: A worker's timeout in seconds.
    """

    retention: int
    pace: str
    shards: int
    limits: tuple[int, float]
    plain: tuple[int, int, float]
    batch_size: int
    concurrency: int
    memory_size: int
    timeout: int


LARGEST = Numbers(
    *(3653, "1000000.5", 100, (1_000_000, 1_000_000.5), (29_000, 2_000_000, 2_000_000.5)), *(10, 1000, 10_240, 900)
)
SMALLEST = Numbers(*(1, "0.001", 1, (1, 0.001), (50, 1, 0.002)), *(1, 2, 128, 10))


def largest_numbers(more: Functions) -> Table:
    """Return the table of the run ``largest_numbers``."""
    return _with_numbers(more, LARGEST)


def smallest_numbers(more: Functions) -> Table:
    """Return the table of the run ``smallest_numbers``."""
    return _with_numbers(more, SMALLEST)


def _with_numbers(more: Functions, numbers: Numbers) -> Table:
    """Return the table of a run that sets each number."""
    everywhere = replace(BY_DEFAULT, retention=numbers.retention)
    partitions = str(numbers.shards)
    shared = {
        **SHARED_BY_DEFAULT,
        "ROOMCAST_PACE": numbers.pace,
        "ROOMCAST_SHARDS_PER_ROOM": partitions,
        "ROOMCAST_SHARDS_READ": partitions,
    }
    queue = {"ROOMCAST_QUEUE_FIFO": "false", "ROOMCAST_QUEUE_URL": QUEUE_URL}
    all_functions = {
        **functions("live", shared, queue),
        "fanout_worker": worker("live", {**shared, **queue}, numbers.memory_size, numbers.timeout),
        **_told(more, shared),
    }
    routes = {**routes_of(all_functions, *numbers.limits), "plain": ("plain", *numbers.plain)}
    table = {
        **objects_of_backend(all_functions),
        **remembered("true", f"{numbers.shards:07b}", f"{numbers.shards:07b}"),
        "module.backend.terraform_data.queue[0]": {"input": {"fifo": False}},
        **in_use("roomcast", "live", "roomcast-connections", None),
        **members("roomcast-connections", {}, protected=False, restorable=True, key=None),
        **objects_of_api(everywhere, routes, limits=numbers.limits, logs=True),
        **outputs(all_functions, everywhere, shared, access_log="/aws/apigateway/roomcast/live"),
        **objects_of_queue(
            everywhere,
            fifo=False,
            visibility=6 * numbers.timeout,
            batch_size=numbers.batch_size,
            concurrency=numbers.concurrency,
        ),
        'module.backend.aws_lambda_permission.additional_route["plain"]': permission(
            "plain", f"{EXECUTION}/live/plain", "roomcast-plain-"
        ),
    }
    for handler, function in all_functions.items():
        table |= objects_of_function(handler, function, everywhere)
    return table


def _told(more: Functions, environment: Mapping[str, str]) -> dict[str, Function]:
    """Return functions that the table does not name, with the shared environment."""
    return {name: replace(function, environment=environment) for name, function in more.items()}


def _with_defaults(
    all_functions: Functions, everywhere: Everywhere = BY_DEFAULT, table_key: str | None = None
) -> Table:
    table = {
        **objects_of_backend(all_functions),
        **outputs(all_functions, everywhere, SHARED_BY_DEFAULT, access_log=None),
        **in_use("roomcast", "live", "roomcast-connections", table_key),
        **members("roomcast-connections", {}, protected=False, restorable=True, key=table_key),
        **objects_of_api(
            everywhere,
            routes_of(all_functions, 1000, 2000),
            limits=(1000, 2000),
            logs=False,
        ),
    }
    for handler, function in all_functions.items():
        table |= objects_of_function(handler, function, everywhere)
    return table


TABLES = {
    "everything_on": everything_on,
    "everything_off": everything_off,
    "keys_without_queue": keys_without_queue,
    "standard_queue": standard_queue,
    "standard_queue_of_choice": standard_queue_of_choice,
    "largest_numbers": largest_numbers,
    "smallest_numbers": smallest_numbers,
}


def differences(run: str, state: Mapping[str, Any]) -> list[str]:
    """Compare the state of a run with its table.

    Args:
        run: Name of the run.
        state: The run's state: ``values`` of ``terraform show -json``.

    Returns:
        A sentence for each difference.
    """
    if run not in TABLES:
        return [f"{run}: scripts/asked_of_aws/runs.py has no table of this name"]
    made = made_by(state)
    more = added(made)
    return [f"{run}: {line}" for line in (*too_wide(more), *compare(made, TABLES[run](more)))]
