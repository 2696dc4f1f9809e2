"""The connections table as the sweeper reads it: all connections, wherever they are, and how far the last run came."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, items, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roomcast.members import Connection

LEASE_SECONDS = 120
"""Longer than a run takes, because EventBridge Scheduler invokes at least once
(https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule.html), and shorter than the time between
two."""

KEPT_SECONDS = 7 * 24 * 60 * 60
"""Lifetime of the sweeper's own items after the last run: nothing is left for ever where it is turned off."""

MOST_KEYS = 100
"""Of one BatchGetItem (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html)."""

REFUSED = "ConditionalCheckFailedException"


class Progress(NamedTuple):
    """How far a cycle, which reads the whole table once, has come.

    Attributes:
        after: Key of the last item that was read; ``None`` at the beginning.
        begun: When it began, in seconds since 1970; 0 before.
        checked: Connections that were asked for, and answered.
        found: Those of them that do not exist.
    """

    after: Mapping[str, Any] | None = None
    begun: int = 0
    checked: int = 0
    found: int = 0


class Page(NamedTuple):
    """A part of the table.

    Attributes:
        connections: Its connections, with their rooms as far as they are known, each id once.
        after: Key of its last item; ``None`` if the table ends with it.
    """

    connections: Sequence[Connection]
    after: Mapping[str, Any] | None


def connections_of(scanned: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Connection], dict[str, Connection]]:
    """Connections with an item among those of a scan, and those that only memberships there name, by their ids.

    Args:
        scanned: Items as ``items.scanned`` reads them.
    """
    whole: dict[str, Connection] = {}
    halves: dict[str, Connection] = {}
    for item in scanned:
        found = items.scanned(item)
        if "rooms" in item:
            whole[found.connection_id] = found
            continue
        known = halves.setdefault(found.connection_id, found)
        # Memberships of another connection of that id come with a later scan.
        if known.connected_at == found.connected_at:
            halves[found.connection_id] = known._replace(rooms={**known.rooms, **found.rooms})
    return whole, {number: each for number, each in halves.items() if number not in whole}


class SweepTable(NamedTuple):
    """The table as the sweeper reads it.

    Every method raises ``aws_json.ServiceError`` when the table cannot be reached by the deadline.

    Attributes:
        database: DynamoDB.
        table_name: Its name.
        deadline: Latest end, in seconds of ``time.monotonic``.
    """

    database: aws_json.Service
    table_name: str
    deadline: float

    def lease(self, holder: str) -> bool:
        """Take the lease, which one run has at a time; false if another one has it.

        Args:
            holder: Id of the invocation. Lambda gives it again to its retry of one that has ended early.
        """
        now = int(time.time())
        item = {
            **items.sweeper_key("lease"),
            "holder": {"S": holder},
            "held_until": {"N": str(now + LEASE_SECONDS)},
            "expires_at": {"N": str(now + KEPT_SECONDS)},
        }
        parameters = {
            "TableName": self.table_name,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(partition_key) OR held_until <= :now OR holder = :holder",
            "ExpressionAttributeValues": {":holder": {"S": holder}, **items.numbers(now=now)},
        }
        try:
            self.database.call("PutItem", parameters, self.deadline)
        except aws_json.ServiceError as error:
            if error.code != REFUSED:
                raise
            return False
        return True

    def census(self) -> int:
        """Count the connections."""
        count: int = 0
        request = items.census(self.table_name)
        while True:
            page = self.database.call("Scan", request, self.deadline)
            count += page["Count"]
            if "LastEvaluatedKey" not in page:
                return count
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def progress(self) -> Progress:
        """Read how far the last run came."""
        [*found] = self._get([items.sweeper_key("state")], strongly=True)
        if not found:
            return Progress()
        item = found[0]
        after = item["after"]["M"] if "after" in item else None
        return Progress(after, *(int(item[name]["N"]) for name in ("begun", "checked", "found")))

    def keep(self, progress: Progress) -> None:
        """Write how far this run came."""
        numbers = items.numbers(**progress._asdict() | {"after": 0, "expires_at": int(time.time()) + KEPT_SECONDS})
        item = {**items.sweeper_key("state"), **{name.removeprefix(":"): value for name, value in numbers.items()}}
        if progress.after is None:
            del item["after"]
        else:
            item["after"] = {"M": progress.after}
        self.database.call("PutItem", {"TableName": self.table_name, "Item": item}, self.deadline)

    def page(self, after: Mapping[str, Any] | None, connected_before: int, limit: int) -> Page:
        """Read a part of the table.

        A connection that has an item is found by that alone, and one without an item by its memberships.

        Args:
            after: Key of the last item of the part before; ``None`` to begin.
            connected_before: Younger ones are left out; epoch milliseconds.
            limit: Items to read at most, those that are left out included.
        """
        request = items.scan(self.table_name, connected_before, limit)
        if after is not None:
            request["ExclusiveStartKey"] = after
        answer = self.database.call("Scan", request, self.deadline)
        whole, halves = connections_of(answer["Items"])
        without = self._without_item([*halves])
        return Page([*whole.values(), *(halves[each] for each in without)], answer.get("LastEvaluatedKey"))

    def _without_item(self, connection_ids: Sequence[str]) -> Sequence[str]:
        """Those of the ids that no item of a connection has."""
        left = [*connection_ids]
        for start in range(0, len(connection_ids), MOST_KEYS):
            keys = [items.connection_key(each) for each in connection_ids[start : start + MOST_KEYS]]
            for item in self._get(keys, strongly=False):
                if "rooms" in item:
                    left.remove(items.scanned(item).connection_id)
        return left

    def _get(self, keys: Sequence[Mapping[str, Any]], *, strongly: bool) -> Sequence[Mapping[str, Any]]:
        return steps.drive(aws_json.get_all(self.database, self.table_name, keys, self.deadline, strongly=strongly))
