"""What CloudWatch keeps of a stage: lines of its log groups, and metrics. Both come some seconds to minutes late."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_logs.client import CloudWatchLogsClient

PERIOD_SECONDS = 60
"""Metrics are kept by the minute."""
FAILED_INVOCATION = ("Task timed out", "Runtime exited")
"""What Lambda prints of an invocation that ran out of time, or whose process died, out of memory for example."""


@dataclass(frozen=True)
class Logs:
    """Reads log groups.

    Attributes:
        logs: boto3 client.
        groups: Their names.
    """

    logs: CloudWatchLogsClient
    groups: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse to look nowhere, where nothing would ever be found.

        Raises:
            ValueError: There is no group.
        """
        if not self.groups:
            raise ValueError("there is no log group to read")

    async def lines(self, since: float, phrase: str) -> list[str]:
        """Return the lines with a phrase in them, oldest first in each group.

        Args:
            since: Older lines are passed over; Unix time in seconds.
            phrase: What a line must hold; no quotation mark.
        """
        return await asyncio.to_thread(lambda: [*self.find(since, phrase)])

    async def records(self, since: float, message: str) -> list[dict[str, Any]]:
        """Return the structured lines, as the handlers write them, whose ``message`` is this; arguments as above."""
        records = map(record_of, await self.lines(since, message))
        return [record for record in records if record.get("message") == message]

    async def errors(self, since: float) -> list[str]:
        """Return the lines that tell of an error, be it a handler's own or a failed invocation; argument as above.

        What Lambda prints of the latter: https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html and
        https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html.
        """
        own = await self.lines(since, "ERROR")
        failed = [line for phrase in FAILED_INVOCATION for line in await self.lines(since, phrase)]
        # The word may also stand in the text of something that was overcome.
        return [*(line for line in own if record_of(line).get("level", "ERROR") == "ERROR"), *failed]

    async def warnings(self, since: float) -> list[str]:
        """Return the lines with which handlers warn; argument as above."""
        return [line for line in await self.lines(since, "WARNING") if record_of(line).get("level") == "WARNING"]

    def find(self, since: float, phrase: str) -> Iterator[str]:
        """Yield what :meth:`lines` returns; blocks."""
        for group in self.groups:
            pages = self.logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, startTime=int(since * 1000), filterPattern=f'"{phrase}"'
            )
            # Emulators read fewer kinds of patterns than CloudWatch, so what they give is looked at again.
            yield from (event["message"] for page in pages for event in page["events"] if phrase in event["message"])


@dataclass(frozen=True)
class Metrics:
    """Reads metrics.

    Attributes:
        cloudwatch: boto3 client.
    """

    cloudwatch: CloudWatchClient

    async def total(self, namespace: str, name: str, dimensions: Mapping[str, str], since: float) -> float:
        """Return the sum of a metric from the minute of ``since`` (Unix time in seconds) until now."""
        return await asyncio.to_thread(self._total, namespace, name, dimensions, since)

    def _total(self, namespace: str, name: str, dimensions: Mapping[str, str], since: float) -> float:
        answer = self.cloudwatch.get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": dimension, "Value": value} for dimension, value in dimensions.items()],
            StartTime=datetime.fromtimestamp(since - since % PERIOD_SECONDS, UTC),
            EndTime=datetime.fromtimestamp(datetime.now(UTC).timestamp() + PERIOD_SECONDS, UTC),
            Period=PERIOD_SECONDS,
            Statistics=["Sum"],
        )
        return sum(point["Sum"] for point in answer["Datapoints"])


def record_of(line: str) -> dict[str, Any]:
    """Return what a structured line holds; nothing for what Lambda itself prints."""
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
