"""The functions' logs of a run count only if they have come as far as the run's end."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from integration_tests.harness.cloudwatch import CLOCKS_DIFFER_BY
from integration_tests.load import function_logs
from integration_tests.load.departures import LastLeavers
from integration_tests.load.function_logs import logs_of
from integration_tests.report.model import FunctionLogs
from scripts.local.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.load.progress import Display
    from integration_tests.targets.interface import Target

STAGE = Deployment("wss://stage.example/live", None, {"log_group_names": {"connect": "group"}})
TIMED_OUT = "5cb8 Task timed out after 29.00 seconds"
SHOWN_AFTER = 0.2
"""Seconds from a line's time until CloudWatch shows it."""


class FakeCloudWatch:
    """In place of boto3's client of CloudWatch Logs: shows each line some time after it was written.

    Args:
        lines: When each was written, Unix time in seconds, and its text.
    """

    def __init__(self, *lines: tuple[float, str]) -> None:
        self.lines = lines

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=self.paginate)

    def paginate(self, *, startTime: int, **_: object) -> Iterator[dict[str, Any]]:  # noqa: N803 - boto3's name
        now = time.time()
        lines = [text for at, text in self.lines if at * 1000 >= startTime and at + SHOWN_AFTER <= now]
        yield {"events": [{"message": text} for text in lines]}


def named(message: str, connection_id: str) -> str:
    return json.dumps({"level": "INFO", "message": message, "connection_id": connection_id})


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_logs, "LOOK_EVERY", 0.01)


async def read(began_at: float, last: LastLeavers, *lines: tuple[float, str]) -> tuple[FunctionLogs | None, list[str]]:
    """Return what the logs say, and what was said about them."""
    said: list[str] = []
    target = cast("Target", SimpleNamespace(aws=SimpleNamespace(logs=FakeCloudWatch(*lines))))
    display = cast("Display", SimpleNamespace(say=said.append))
    return await logs_of(target, STAGE, datetime.fromtimestamp(began_at, UTC), display, last), said


async def test_logs_are_read_once_they_show_that_the_last_clients_have_left() -> None:
    now = time.time()
    lines = [(now - 60, named("connect", each)) for each in ("a=", "b=")]
    lines += [(now - 1, named("disconnect", "a=")), (now, TIMED_OUT), (now + 0.1, named("disconnect", "b="))]

    found, said = await read(now - 70, LastLeavers(now - 1, frozenset({"a=", "b="})), *lines)

    assert found == FunctionLogs(1, 0, [TIMED_OUT])
    assert not said


@pytest.mark.parametrize("last", [frozenset(), frozenset({"a="}), frozenset({"a=", "b="})])
@pytest.mark.parametrize("errors", [[], [TIMED_OUT]])
async def test_logs_that_do_not_show_the_end_of_the_run_prove_nothing_but_an_error_in_them_is_one(
    last: frozenset[str], errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function_logs, "LOGGED_WITHIN", 0.0)
    now = time.time()
    lines = [(now - 60, named("connect", each)) for each in ("a=", "b=")]
    lines += [(now - 1, named("disconnect", "b=")), *((now - 1, error) for error in errors)]

    found, said = await read(now - 70, LastLeavers(now - 2, last), *lines)

    assert found == (FunctionLogs(1, 0, errors) if errors else None)
    assert bool(said) is not bool(errors)
    assert all(f"for {len(last - {'b='})} of the {len(last)} clients that left last" in sentence for sentence in said)


async def test_clock_of_this_machine_may_be_ahead() -> None:
    began_at = time.time() - 1
    behind = began_at - CLOCKS_DIFFER_BY + 0.5

    found, _ = await read(
        began_at, LastLeavers(began_at, frozenset({"a="})), (behind, TIMED_OUT), (behind, named("disconnect", "a="))
    )

    assert found == FunctionLogs(1, 0, [TIMED_OUT])
