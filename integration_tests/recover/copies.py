"""The copies of messages, and the receipts that say failed, which log lines of fan-outs explain."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from integration_tests.harness.answers import object_of
from integration_tests.harness.cloudwatch import Logs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from types_boto3_logs.client import CloudWatchLogsClient

FAN_OUT = "fan-out"
"""The handlers' line about one message that was posted to members."""


class FanOuts:
    """The fan-outs of an instance's functions, as their log groups show them.

    Args:
        logs: boto3 client.
        prefix: Beginning of the names of the functions' log groups.
        since: Older lines are passed over; Unix time in seconds.
    """

    def __init__(self, logs: CloudWatchLogsClient, prefix: str, since: float) -> None:
        self._logs = logs
        self._prefix = prefix
        self._since = since
        self._lines: set[str] = set()

    def read(self) -> None:
        """Read the log groups that are there now; lines of removed ones are kept."""
        groups = self._logs.describe_log_groups(logGroupNamePrefix=self._prefix)["logGroups"]
        self._lines.update(Logs(self._logs, [group["logGroupName"] for group in groups]).find(self._since, FAN_OUT))

    def copies(self, members: int) -> int:
        """Return how many copies the lines explain at most, in rooms of so many members; see :func:`explained`."""
        return explained(map(object_of, self._lines), members)

    def doubts(self) -> int:
        """Return how many messages may have a receipt that says failed although they arrived; see :func:`doubted`."""
        return doubted(map(object_of, self._lines))


def explained(lines: Iterable[Mapping[str, Any]], members: int) -> int:
    """Return how many copies of deliveries some log lines explain at most.

    A post that was sent again may have been taken twice, and so may one with a late answer: the message goes back to
    the queue for that member. A task that the queue holds twice, or delivers again, has two lines with the id of one
    request, which together count more deliveries than the room has members.

    Args:
        lines: Log lines of functions.
        members: Members of each room.
    """
    delivered = Counter[str]()
    retried = 0
    for line in lines:
        if line.get("message") == FAN_OUT:
            retried += line.get("retried", 0) + line.get("late", 0)
            delivered[line["request_id"]] += line["delivered"]
    return retried + sum(max(0, count - members) for count in delivered.values())


def doubted(lines: Iterable[Mapping[str, Any]]) -> int:
    """Return how many messages had a post whose answer was late: their receipts say failed, whether it arrived or not.

    Args:
        lines: Log lines of functions.
    """
    return len({line["request_id"] for line in lines if line.get("message") == FAN_OUT and line.get("late")})
