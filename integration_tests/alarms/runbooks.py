"""The runbooks' pages: what an alarm says to run first, and what that shows."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from integration_tests.harness.operators import variables
from scripts.repository import REPOSITORY
from scripts.tests.command_line import run
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integration_tests.alarms.faults import Stage
    from integration_tests.harness.alarms.evaluator import Evaluator

BACKEND = REPOSITORY / "terraform" / "modules" / "backend"
PAGES = BACKEND / "runbooks"
FIRST = re.compile(r" First: (roomcast .*?)(?: Runbook: \S+)?$")
PARTS = re.compile(r"^(dead-letters|queue-age|function-errors|function-throttles)-.*$")

DONE, NO, AGAIN = 0, 1, 5
"""Statuses of commands that were run: 1 says that something is wrong, and 5 that the same again may work."""

SHOWS: Mapping[str, str] = {
    "authorizer-unavailable": r"authorizer\s+auth_unavailable\s+no answer",
    "census-missing": r"sweeper\s.*no census",
    "dead-letters": r"publish\s",
    "delivery-late": r"\s[1-9]\d{3}(?:\.\d+)?\s",
    "execution-errors": r"error\s+concurrency\s.*whoami",
    "function-errors": r"whoami\s",
    "function-throttles": r"error\s+concurrency\s.*whoami",
    "handshakes-refused": r"429\s+THROTTLED",
    "joins-failing": r"connect\s.*table",
    "posts-failed": r"(?m)\sfan-out\s.*[\t ][1-9]\d*[\t ]+\S+$",
    "posts-refused": r"error\s+delivery\s",
    "posts-throttled": r"failed / slow / throttled\s+\S+ / \S+ / [1-9]",
    "queue-age": r"queue age \(s\) / dead letters\s+[1-9]",
    "unavailable": r"connect\s.*table",
}
"""What the output of an alarm's first command has while the alarm's fault is there."""
SHOWS_NOTHING: Mapping[str, str] = {
    "stale-share": "its fault is planted in the table, and no function fails",
}
"""Alarms whose fault the first command does not show here, and why."""


def kind_of(alarm: str) -> str:
    """Return the name of an alarm without its chunk or queue: the name of its page."""
    return PARTS.sub(r"\1", alarm)


def first_command(description: str) -> list[str]:
    """Return the arguments of `roomcast` that an alarm's description says to run first.

    Raises:
        AssertionError: It says none.
    """
    found = FIRST.search(description)
    assert found, description
    return found[1].split()[1:]


async def check_first_command(stage: Stage, evaluator: Evaluator, name: str) -> None:
    """Run what an alarm says to run first, while the fault is there; the output must show the fault.

    Args:
        stage: The stage.
        evaluator: Knows its alarms.
        name: Name of the alarm, without the stage's.
    """
    [alarm] = [each for each in evaluator.alarms() if each["AlarmName"] == f"{evaluator.prefix}{name}"]
    command = first_command(alarm["AlarmDescription"])
    if command[0] == "doctor":
        command += ["--within", "300"]  # on a busy machine the emulator answers late
    wanted = SHOWS.get(kind_of(name), "")

    async def is_shown() -> bool:
        status, output, told = await asyncio.to_thread(run, *command, **variables(stage.aws, stage.deployment.outputs))
        assert status in {DONE, NO, AGAIN}, told
        return status != AGAIN and re.search(wanted, output) is not None

    what = f"`roomcast {' '.join(command)}` to show {wanted!r}"
    await eventually(is_shown, True, within=90, every=1, what=what)
