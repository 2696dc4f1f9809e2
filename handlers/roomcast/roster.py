"""Names of a room's members: those of their clients, or connection ids where clients have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roomcast.recipients import Recipient

MOST_READ = 5_000
"""Memberships of a room that ``names`` reads. They take some 200 bytes each, so that one answer costs about 250 read
units, half of what a message to a room of 10,000 costs, and few clients cannot use up the 3,000 units a second that
DynamoDB serves of one partition
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html)."""


class Roster(NamedTuple):
    """Reads the members of a room by their names.

    Attributes:
        database: DynamoDB.
        queries: The query for each of the room's partitions, in the order of their numbers.
        deadline: Latest end, in seconds of ``time.monotonic``.
    """

    database: aws_json.Service
    queries: Sequence[dict[str, Any]]
    deadline: float

    def names(self) -> tuple[set[str], bool]:
        """Names of the members, each once, and whether those are all: a large room is not read to its end.

        Raises:
            aws_json.ServiceError: The table did not answer in time.
        """
        found: set[str] = set()
        read = 0
        for query in self.queries:
            for page in self._pages(query):
                found |= {_name(item) for item in page["Items"]}
                read += int(page["ScannedCount"])
                if read >= MOST_READ:
                    return found, query is self.queries[-1] and "LastEvaluatedKey" not in page
        return found, True

    def present(self) -> tuple[set[str], int]:
        """Names of all members, each once, and when the first of their items ends, in seconds since 1970; else 0.

        Raises:
            aws_json.ServiceError: The table did not answer in time.
        """
        found = [(_name(item), int(item["expires_at"]["N"])) for page in self._every_page() for item in page["Items"]]
        return {name for name, _ in found}, min((end for _, end in found), default=0)

    def watchers(self) -> Iterator[Recipient]:
        """The members that see the room's presence, read as they are asked for."""
        for shard, query in enumerate(self.queries):
            condition = f"{query['FilterExpression']} AND attribute_exists(sees_presence)"
            for page in self._pages({**query, "FilterExpression": condition}):
                yield from items.recipients(page["Items"], shard)

    def called(self, name: str) -> list[Recipient]:
        """The members whose client has a name: one client may have several connections.

        Args:
            name: Name of the client.

        Raises:
            aws_json.ServiceError: The table did not answer in time.
        """
        found: list[Recipient] = []
        for shard, query in enumerate(self.queries):
            values = {**query["ExpressionAttributeValues"], ":subject": {"S": name}}
            only = {**query, "FilterExpression": f"{query['FilterExpression']} AND subject = :subject"}
            for page in self._pages({**only, "ExpressionAttributeValues": values}):
                found += items.recipients(page["Items"], shard)
        return found

    def _every_page(self) -> Iterator[Mapping[str, Any]]:
        for query in self.queries:
            yield from self._pages({**query})

    def _pages(self, query: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
        return aws_json.pages(self.database, query, self.deadline)


def _name(item: Mapping[str, Any]) -> str:
    name: str = item["subject" if "subject" in item else "sort_key"]["S"]
    return name
