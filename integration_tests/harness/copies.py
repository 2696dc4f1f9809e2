"""The copies of messages, the receipts that say failed, and the refusals, which log lines of functions explain."""

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


NO_ANSWER = "no answer from"
"""Of a line about a call of the table or the queue that had no answer in time. A call that AWS refuses has one."""


class FanOuts:
    """The fan-outs of an instance's functions, and what kept them from one, as their log groups show them.

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
        logs = Logs(self._logs, [group["logGroupName"] for group in groups])
        for phrase in (FAN_OUT, NO_ANSWER):
            self._lines.update(logs.find(self._since, phrase))

    def copies(self, members: int) -> int:
        """Return how many copies the lines explain at most, in rooms of so many members; see :func:`explained`."""
        return explained(map(object_of, self._lines), members)

    def repeats(self) -> int:
        """Return how many posts may have been taken twice; see :func:`repeated`."""
        return repeated(map(object_of, self._lines))

    def doubts(self) -> int:
        """Return how many messages may have a receipt that says failed although they arrived; see :func:`doubted`."""
        return doubted(map(object_of, self._lines))

    def refusals(self) -> int:
        """Return how many messages may have been refused; see :func:`refused`."""
        return refused(map(object_of, self._lines))


def explained(lines: Iterable[Mapping[str, Any]], members: int) -> int:
    """Return how many copies of deliveries some log lines explain at most.

    Posts may have been taken twice. A task that the queue holds twice, or delivers again, has two lines with the id of
    one request, which together count more deliveries than the room has members.

    Args:
        lines: Log lines of functions.
        members: Members of each room.
    """
    lines = [*lines]
    delivered = Counter[str]()
    for line in lines:
        if line.get("message") == FAN_OUT:
            delivered[line["request_id"]] += line["delivered"]
    return repeated(lines) + sum(max(0, count - members) for count in delivered.values())


def repeated(lines: Iterable[Mapping[str, Any]]) -> int:
    """Return how many posts may have been taken twice.

    A post that was sent again may have been, and so may one with a late answer: the message goes back to the queue for
    that member.

    Args:
        lines: Log lines of functions.
    """
    return sum(line.get("retried", 0) + line.get("late", 0) for line in lines if line.get("message") == FAN_OUT)


def doubted(lines: Iterable[Mapping[str, Any]]) -> int:
    """Return how many messages had a post whose answer was late: their receipts say failed, whether it arrived or not.

    Args:
        lines: Log lines of functions.
    """
    return len({line["request_id"] for line in lines if line.get("message") == FAN_OUT and line.get("late")})


def refused(lines: Iterable[Mapping[str, Any]]) -> int:
    """Return how many messages needed the table or the queue, and had no answer in time: they are answered so.

    Args:
        lines: Log lines of functions.
    """
    errors = (line for line in lines if line.get("level") == "ERROR" and NO_ANSWER in str(line.get("error")))
    return len({line["request_id"] for line in errors if "request_id" in line})
