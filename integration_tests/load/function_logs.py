"""Errors and warnings in the functions' logs of a load run."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from integration_tests.harness.cloudwatch import Logs
from integration_tests.report.model import FunctionLogs
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from integration_tests.load.progress import Display
    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

LOGGED_WITHIN = 60.0
"""Seconds in which CloudWatch shows a line; some take that long."""
LOOK_EVERY = 1.0
"""Seconds between two looks for it."""
EXAMPLES = 10
"""How many lines of the functions' logs the report shows, at most."""


async def logs_of(
    target: Target, stage: Deployment, since: datetime, display: Display, known: Sequence[str] = ()
) -> FunctionLogs | None:
    """Return errors and warnings in the functions' logs since a moment, or None where the logs cannot be read.

    Logs without an error count only if they are this stage's, and have come so far: they must name a client of the run.

    Args:
        target: Gives access to the logs.
        stage: Its outputs name the log groups.
        since: When the run began.
        display: Shows why there are none.
        known: Connection ids of the run.
    """
    groups = stage.outputs.get("log_group_names", {}).values()
    if target.aws is None or not groups:
        return None
    logs = Logs(target.aws.logs, [*groups])
    try:
        named = await names_one(logs, since.timestamp(), known)
        errors, warnings = await logs.errors(since.timestamp()), await logs.warnings(since.timestamp())
    except (BotoCoreError, ClientError) as error:
        display.say(f"the functions' logs cannot be read: {error}")
        return None
    if not named and not errors:
        display.say("the functions' logs name no client of this run, so that they hold no error proves nothing")
        return None
    return FunctionLogs(len(errors), len(warnings), [*errors, *warnings][:EXAMPLES])


async def names_one(logs: Logs, since: float, known: Sequence[str]) -> bool:
    """Wait until the logs of ``$connect`` or ``$disconnect`` name one of the run's clients; return whether they do."""
    deadline = time.monotonic() + scaled(LOGGED_WITHIN)
    while known:
        if await logs.lines(since, known[-1]):
            return True
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(LOOK_EVERY)
    return False
