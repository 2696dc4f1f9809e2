"""Clients by their names: where each is connected, and which of them may not connect.

A handshake writes an item for its client's name in its own transaction, and depends there on the client's denial. A
kick writes the denial before it lists the connections. So either the kick sees the connection, or the handshake sees
the denial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, items
from roomcast.members import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomcast.recipients import Recipient

PAGE_ITEMS = 1000
"""Connections read at a time: few clients have more than some."""


class Users(NamedTuple):
    """The connections of clients by their names.

    Attributes:
        database: DynamoDB.
        table_name: Name of the connections table.
        delete: Deletes connections by a deadline, with all of their items.
        deadline: Latest end, in seconds of ``time.monotonic``.
        with_token: Whether connections count only with a token that has not expired.
    """

    database: aws_json.Service
    table_name: str
    delete: Callable[[Sequence[Connection], float], None]
    deadline: float
    with_token: bool = False

    def recipients(self, subject: str) -> list[Recipient]:
        """The connections of a client that count now.

        Args:
            subject: Name of the client.

        Raises:
            aws_json.ServiceError: The table did not answer in time.
        """
        query = self._query(subject)
        return [each for page in self._pages(query) for each in items.recipients(page, 0)]

    def connections(self, subject: str) -> list[Connection]:
        """All connections of a client, also those with items that have expired; their rooms are not known.

        Args:
            subject: Name of the client.

        Raises:
            aws_json.ServiceError: The table did not answer in time.
        """
        query = self._query(subject)
        del query["FilterExpression"], query["ExpressionAttributeValues"][":now"]
        found = [each for page in self._pages(query) for each in items.recipients(page, 0)]
        return [self._listed(subject, each) for each in found]

    def deny(self, subject: str, until: int) -> None:
        """Keep a client from connecting; one that is kept longer already is not let in earlier.

        Args:
            subject: Name of the client.
            until: When it may connect again, in seconds since 1970.

        Raises:
            aws_json.ServiceError: The table could not be written in time.
        """
        denial = {
            "TableName": self.table_name,
            "Key": items.denial_key(subject),
            "UpdateExpression": "SET expires_at = :until",
            "ConditionExpression": "attribute_not_exists(partition_key) OR expires_at < :until",
            "ExpressionAttributeValues": items.numbers(until=until),
            "ReturnValues": "NONE",
            "ReturnValuesOnConditionCheckFailure": "NONE",
        }
        try:
            self.database.call("UpdateItem", denial, self.deadline)
        except aws_json.ServiceError as error:
            if error.code != "ConditionalCheckFailedException":
                raise

    def remove(self, subject: str, gone: Sequence[Recipient]) -> None:
        """Delete all items of a client's connections.

        Args:
            subject: Name of the client.
            gone: The connections.

        Raises:
            aws_json.ServiceError: The table could not be written in time.
        """
        self.delete([self._listed(subject, each) for each in gone], self.deadline)

    @staticmethod
    def _listed(subject: str, each: Recipient) -> Connection:
        # The item of the connection tells its rooms when its deletion is refused.
        return Connection(
            each.connection_id, each.connected_at, {}, protocol=each.protocol, subject=subject, is_listed=True
        )

    def _query(self, subject: str) -> dict[str, Any]:
        wanted = "sort_key, connected_at, protocol"
        partition = items.user_partition(subject)
        return items.query(self.table_name, partition, wanted, PAGE_ITEMS, with_token=self.with_token)

    def _pages(self, query: dict[str, Any]) -> list[Sequence[dict[str, Any]]]:
        return [page["Items"] for page in aws_json.pages(self.database, query, self.deadline)]
