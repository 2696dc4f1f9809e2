"""Leftovers of the connections table: rows of connections that are gone.

A row is one once API Gateway has answered twice that there is no such connection, and at least one connection of the
same run is alive: a wrong stage or API is not to empty the table. The rows are deleted by the handlers' own code.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, changes, headcount, removal, sweep_table, sweeping

from roomcast_cli.output import NOT_REACHABLE, CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roomcast.members import Connection

A_SECOND = 100
"""Questions to API Gateway: 1 % of an account's requests."""


class Table(NamedTuple):
    """What a scan has found.

    Attributes:
        connections: By id.
        halves: Connections without an item of their own, known by their memberships, by id.
        expired: Number of rows that have expired, and wait for time to live.
    """

    connections: Mapping[str, Connection]
    halves: Mapping[str, Connection]
    expired: int

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Table:
        """Sort the rows of a scan."""
        everything, now = [*rows], time.time()
        living = [row for row in everything if int(row["expires_at"]["N"]) > now]
        return cls(*sweep_table.connections_of(living), len(everything) - len(living))


def is_old(connection: Connection) -> bool:
    """Whether a connection is certainly open by now."""
    return time.time() - connection.connected_at / 1000 > sweeping.MINIMUM_AGE_SECONDS


@dataclass
class Questions:
    """Asks API Gateway which connections there are, one after the other, so that Ctrl-C ends it at once.

    Attributes:
        client: Of the stage's management API.
        a_second: Most questions in a second.
        alive: Connections that exist, so far.
    """

    client: Any
    a_second: float = A_SECOND
    alive: int = 0

    def gone(self, numbers: Iterable[str]) -> set[str]:
        """Return those that do not exist. One about which API Gateway does not answer is taken for alive."""
        found, begin = set(), time.monotonic()
        for number in numbers:
            time.sleep(max(0.0, begin - time.monotonic()))
            begin = max(begin, time.monotonic()) + 1 / self.a_second
            if self._is_gone(number):
                found.add(number)
        return found

    def _is_gone(self, number: str) -> bool:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - the client has loaded it

        try:
            self.client.get_connection(ConnectionId=number)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 403:  # another stage, or no right: nothing is known of any connection
                raise
            return status in {400, 410}
        self.alive += 1
        return False


class Deletion:
    """Deletes the rows of connections that are gone, one connection after the other.

    Args:
        client: Of DynamoDB.
        table: Name of the connections table.
    """

    def __init__(self, client: Any, table: str) -> None:  # noqa: ANN401 - a client of botocore
        self._client = client
        self._table = table

    def connection(self, known: Connection) -> None:
        """Delete all rows of a connection, but not those that a newer one of the same id has written.

        Raises:
            CommandError: Others write the same rows all the time.
        """
        numbers = headcount.Headcount(self._table, maximum=0, shards=1)
        try:
            # The deadline is that of the client.
            removal.Removal(changes.Changes(self._table, numbers, self._write, float("inf"))).remove([known])
        except aws_json.ServiceError as error:
            raise CommandError(f"the rows of {known.connection_id} stay: {error}; try again", NOT_REACHABLE) from error

    def _write(self, actions: Sequence[Mapping[str, Any]], _deadline: float) -> None:
        try:
            self._client.transact_write_items(TransactItems=actions)
        except self._client.exceptions.TransactionCanceledException as error:
            # As the handlers' own client tells it.
            raise aws_json.ServiceError(
                "TransactWriteItems", "TransactionCanceledException", error.response, transient=False
            ) from error
