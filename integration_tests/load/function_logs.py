"""Errors and warnings in the functions' logs of a load run."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from integration_tests.harness import credentials
from integration_tests.harness.cloudwatch import CLOCKS_DIFFER_BY, Logs
from integration_tests.load.departures import NOBODY, LastLeavers
from integration_tests.report.model import FunctionLogs
from scripts.waiting import scaled

if TYPE_CHECKING:
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
    target: Target, stage: Deployment, since: datetime, display: Display, last: LastLeavers = NOBODY
) -> FunctionLogs | None:
    """Return errors and warnings in the functions' logs since a moment, or None where the logs cannot be read.

    Logs without an error count only if they are this stage's and have come as far as the end of the run: they must hold
    the line of ``$disconnect`` for each client that left last.

    Args:
        target: Gives access to the logs.
        stage: Its outputs name the log groups.
        since: When the run began.
        display: Shows why there are none.
        last: The clients that left last.
    """
    groups = stage.outputs.get("log_group_names", {}).values()
    if target.aws is None or not groups:
        return None
    logs, began_at = Logs(target.aws.logs, [*groups]), since.timestamp() - CLOCKS_DIFFER_BY
    try:
        lacking = await unseen(logs, last)
        errors, warnings = await logs.errors(began_at), await logs.warnings(began_at)
    except (BotoCoreError, ClientError) as error:
        display.say(f"the functions' logs cannot be read: {error}")
        return None
    if (lacking or not last.connection_ids) and not errors:
        display.say(
            "the functions' logs do not show the end of the run, so that they hold no error proves nothing: they lack "
            f"the line of $disconnect for {len(lacking):,} of the {len(last.connection_ids):,} clients that left last"
        )
        return None
    return FunctionLogs(len(errors), len(warnings), [*map(credentials.hidden, [*errors, *warnings][:EXAMPLES])])


async def unseen(logs: Logs, last: LastLeavers) -> frozenset[str]:
    """Wait until the logs of ``$disconnect`` name all clients that left last; return those that they do not name."""
    deadline = time.monotonic() + scaled(LOGGED_WITHIN)
    lacking = last.connection_ids
    while lacking:
        lines = await logs.records(last.at - CLOCKS_DIFFER_BY, "disconnect")
        lacking -= {str(line.get("connection_id")) for line in lines}
        if not lacking or time.monotonic() > deadline:
            break
        await asyncio.sleep(LOOK_EVERY)
    return lacking
