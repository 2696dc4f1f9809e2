"""Log lines and metrics of a stage in CloudWatch, where both arrive seconds to minutes late."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from integration_tests.harness.answers import object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_logs.client import CloudWatchLogsClient

PERIOD_SECONDS = 60
"""Metrics are kept by the minute."""
CLOCKS_DIFFER_BY = 5.0
"""Seconds that this machine's clock may be ahead of AWS's, which stamps log lines."""
FAILED_INVOCATION = ("Task timed out", "Runtime exited")
"""Lambda's lines about an invocation that ran out of time, or lost its process, out of memory for example.
https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html"""


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
        """Refuse an empty list of groups, in which a search would never find anything.

        Raises:
            ValueError: There is no group.
        """
        if not self.groups:
            raise ValueError("there is no log group to read")

    async def lines(self, since: float, phrase: str) -> list[str]:
        """Return the lines with a phrase in them, oldest first in each group.

        Args:
            since: Older lines are passed over; Unix time in seconds.
            phrase: Text that a line must hold; no quotation mark.
        """
        return await asyncio.to_thread(lambda: [*self.find(since, phrase)])

    async def records(self, since: float, message: str) -> list[dict[str, Any]]:
        """Return the handlers' structured lines with this ``message``; arguments as above."""
        records = map(object_of, await self.lines(since, message))
        return [record for record in records if record.get("message") == message]

    async def errors(self, since: float) -> list[str]:
        """Return the lines about errors: those of handlers, and Lambda's about failed invocations; argument as above.

        https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
        """
        own = await self.lines(since, "ERROR")
        failed = [line for phrase in FAILED_INVOCATION for line in await self.lines(since, phrase)]
        # "ERROR" may also occur in a warning's text, for example about a retried request.
        return [*(line for line in own if object_of(line).get("level", "ERROR") == "ERROR"), *failed]

    async def warnings(self, since: float) -> list[str]:
        """Return the handlers' warnings; argument as above."""
        return [line for line in await self.lines(since, "WARNING") if object_of(line).get("level") == "WARNING"]

    def find(self, since: float, phrase: str) -> Iterator[str]:
        """Yield the same lines as :meth:`lines`, but block while reading."""
        for group in self.groups:
            pages = self.logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, startTime=int(since * 1000), filterPattern=f'"{phrase}"'
            )
            # Emulators support fewer filter patterns than CloudWatch and may return more lines.
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
