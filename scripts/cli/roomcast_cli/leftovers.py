"""Leftovers of the connections table: rows of connections that are gone.

A row is one once API Gateway has answered twice that there is no such connection, and at least one connection of the
same run is alive: a wrong stage or API is not to empty the table. The rows are deleted by the handlers' own code.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, changes, headcount, items, removal

from roomcast_cli.output import NOT_REACHABLE, CommandError
from roomcast_cli.rows import CONNECTION, Place, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roomcast.members import Connection

YOUNGEST_SECONDS = 120
"""A connection takes up to 29 s until it is open, and clocks differ by a minute."""

A_SECOND = 100
"""Questions to API Gateway: 1 % of an account's requests."""

BETWEEN_QUESTIONS = 20.0
"""Seconds until a connection that is gone is asked for again."""


class Lone(NamedTuple):
    """A membership without the item of its connection."""

    connection_id: str
    place: Place
    connected_at: int


@dataclass
class Table:
    """What a scan has found.

    Attributes:
        connections: By id.
        memberships: All of them.
        expired: Rows that have expired, and wait for time to live.
    """

    connections: dict[str, Connection] = field(default_factory=dict)
    memberships: list[Lone] = field(default_factory=list)
    expired: int = 0

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Table:
        """Sort the rows of a scan."""
        found, now = cls(), time.time()
        for row in rows:
            if int(row["expires_at"]["N"]) <= now:
                found.expired += 1
            elif row["partition_key"]["S"].startswith(CONNECTION):
                number = _id_of(row)
                if known := items.connection(number, row):
                    found.connections[number] = known
            else:
                connected_at = int(row["connected_at"]["N"])
                found.memberships.append(Lone(row["sort_key"]["S"], place_of(row), connected_at))
        return found

    @property
    def lone(self) -> list[Lone]:
        """The memberships without their connection's item."""
        return [each for each in self.memberships if each.connection_id not in self.connections]


def _id_of(row: Mapping[str, Any]) -> str:
    escaped = row["partition_key"]["S"].removeprefix(CONNECTION)
    return str(escaped).replace("%23", "#").replace("%25", "%")


def is_old(connected_at: int) -> bool:
    """Whether a connection of then is certainly open by now."""
    return time.time() - connected_at / 1000 > YOUNGEST_SECONDS


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
        """Delete all rows of a connection, unless a newer one has its id.

        Raises:
            CommandError: Others write the same rows all the time.
        """
        numbers = headcount.Headcount(self._table, maximum=0, shards=1)
        try:
            # The deadline is that of the client.
            removal.Removal(changes.Changes(self._table, numbers, self._write, float("inf"))).remove([known])
        except aws_json.ServiceError as error:
            raise CommandError(f"the rows of {known.connection_id} stay: {error}; try again", NOT_REACHABLE) from error

    def membership(self, lone: Lone) -> None:
        """Delete a membership, unless a newer connection has its id."""
        key = items.membership_key(lone.place.room, lone.place.shard, lone.connection_id)
        self._write([items.deletion(self._table, key, lone.connected_at)], float("inf"))

    def _write(self, actions: Sequence[Mapping[str, Any]], _deadline: float) -> None:
        try:
            self._client.transact_write_items(TransactItems=actions)
        except self._client.exceptions.TransactionCanceledException as error:
            # As the handlers' own client tells it.
            raise aws_json.ServiceError(
                "TransactWriteItems", "TransactionCanceledException", error.response, transient=False
            ) from error
