"""Queries of CloudWatch Logs Insights: the texts that Terraform's module ``backend`` keeps, and their results."""

from __future__ import annotations

import re
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast_cli import log_groups
from roomcast_cli.output import NOT_REACHABLE, WRONG_USAGE, CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

    from roomcast_cli.stages import Stage

ABOUT = {
    "bytes": "megabytes and lines of each log",
    "connection": "all lines about a connection: --id",
    "errors": "errors by log and cause",
    "failed": "the twenty latest messages that members missed",
    "follow": "all lines about a request: --id",
    "handshakes": "handshakes by status",
    "memory": "most memory, time and cold starts of each function",
    "room": "posts, failures and lag of a room by minute: --room",
    "slowest": "the twenty slowest messages",
}
"""What each query answers."""

PAUSE = 0.5
"""Seconds between two looks at a query that runs."""

LONGEST = 60.0
"""Seconds after which a query is given up; one of an hour takes few."""

_ID = re.compile(r"[\w.=+/-]{1,128}", re.ASCII)
IN_A_CLONE = "terraform/modules/backend/queries"
USD_PER_GB = 0.005
"""https://aws.amazon.com/cloudwatch/pricing/"""


class Answer(NamedTuple):
    """What a query found.

    Attributes:
        rows: By the names of their fields.
        gb_read: How much it read.
    """

    rows: list[dict[str, str]]
    gb_read: float


def text(name: str) -> str:
    """Return the text of a query."""
    return _folder().joinpath(f"{name}.txt").read_text("utf-8")


def about(query: str, wanted: str) -> str:
    """Return a query about an id, which stands in texts and in a pattern.

    Raises:
        CommandError: No id has such characters.
    """
    if not _ID.fullmatch(wanted):
        raise CommandError(f"{wanted!r} is no id of a request or a connection", WRONG_USAGE)
    pattern = re.escape(wanted).replace("/", "\\/")
    return query.replace("/ID/", f"/{pattern}/").replace("ID", wanted)


def _folder() -> Traversable:
    for folder in Path(__file__).resolve().parents:
        if (folder / IN_A_CLONE).is_dir():
            return folder / IN_A_CLONE
    return resources.files("roomcast_cli.queries_of_backend")


def run(client: Any, stage: Stage, query: str, since: int) -> Answer:  # noqa: ANN401 - a client of botocore
    """Run a query on all logs of a stage.

    Args:
        client: Of CloudWatch Logs.
        stage: The stage.
        query: Its text.
        since: Seconds before now.

    Raises:
        CommandError: It did not end in time, or failed.
    """
    now = round(time.time())
    groups = sorted(log_groups.of(stage).values())
    started = client.start_query(logGroupNames=groups, startTime=now - since, endTime=now + 60, queryString=query)
    until, found = time.monotonic() + LONGEST, {"status": "Scheduled"}
    while time.monotonic() < until:
        found = client.get_query_results(queryId=started["queryId"])
        if found["status"] == "Complete":
            rows = [{each["field"]: each["value"] for each in row} for row in found["results"]]
            return Answer(rows, found.get("statistics", {}).get("bytesScanned", 0.0) / 1e9)
        if found["status"] not in {"Scheduled", "Running", "Unknown"}:
            break
        time.sleep(PAUSE)
    raise CommandError(f"the query ended as {found['status']}; ask for less time by --since", NOT_REACHABLE)


def log_of(stage: Stage, row: Mapping[str, str]) -> str:
    """Return the name of the log that a row comes from."""
    group = row.get("@log", "").partition(":")[2]
    return next((name for name, each in log_groups.of(stage).items() if each == group), group)


def cost(gb_read: float) -> str:
    """Return a sentence about what a query has read."""
    return f"read {gb_read:.2f} GB of logs ({gb_read * USD_PER_GB:.4f} USD)"
