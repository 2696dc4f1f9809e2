"""StartQuery of CloudWatch Logs, which runs all of a query or refuses it."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json, get_account_id
from ministack.services import cloudwatch_logs

from scripts.local.ministack import insights
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.local.ministack.management import Response

MOST_ROWS = 10_000
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html"""
MOST_TRIES = 100
"""Of collecting lines, each of which takes milliseconds; streams begin with each invocation."""


@replaces(cloudwatch_logs, "_start_query")
def start_query(original: Callable[..., Response], data: Mapping[str, Any]) -> Response:
    """Run a query, whose rows GetQueryResults then finds."""
    try:
        query = insights.parse(data.get("queryString", ""))
    except insights.QueryError as error:
        return error_response_json("MalformedQueryException", str(error), 400)  # type: ignore[no-any-return] # untyped
    # MiniStack checks the request and notes the query; it need not look for rows of its own.
    response = original({**data, "queryString": "limit 1"})
    if response[0] != 200:
        return response
    groups = cloudwatch_logs._resolve_query_log_groups(data)
    records = cloudwatch_logs._collect_query_records(groups, data["startTime"], data["endTime"])
    rows = query.run(map(line_of, records))[: data.get("limit") or MOST_ROWS]
    noted = cloudwatch_logs._queries[json.loads(response[2])["queryId"]]
    noted["queryString"] = data["queryString"]
    noted["results"] = [[{"field": name, "value": value} for name, value in row.items()] for row in rows]
    return response


@replaces(cloudwatch_logs, "_collect_query_records")
def collect(original: Callable[..., list[dict[str, Any]]], *arguments: Any) -> list[dict[str, Any]]:
    """Collect lines; begin again if a function begins another stream meanwhile, which ends MiniStack's loop."""
    for _ in range(MOST_TRIES):
        try:
            return original(*arguments)
        except RuntimeError:  # dictionary changed size during iteration
            continue
    return original(*arguments)


def line_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return a line's fields; those in its text are looked for once."""
    if "_discovered" not in record:
        record["_discovered"] = insights.fields_of(record["@message"])
    own = {name: record[name] for name in ("@ptr", "@message", "@logStream")}
    log = f"{get_account_id()}:{record['@log']}"
    return {**record["_discovered"], **own, "@log": log, insights.TIMESTAMP: insights.Moment(record["_timestamp_ms"])}
