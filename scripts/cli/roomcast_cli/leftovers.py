"""Leftovers of the connections table: rows of connections that are gone.

A row is one once API Gateway has answered twice that there is no such connection, and at least one connection of the
same run is alive: a wrong stage or API is not to empty the table. The rows are deleted by the handlers' own code.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from roomcast import aws_json, changes, headcount, marks, removal, settings, sweep_table, sweeping

from roomcast_cli.output import NOT_ALLOWED, NOT_REACHABLE, CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roomcast.members import Connection

    from roomcast_cli.aws import Account
    from roomcast_cli.stages import Stage

A_SECOND = 100
"""Questions to API Gateway: 1 % of an account's requests."""

GONE = {400, 410}
"""HTTP statuses of API Gateway's answer about a connection that does not exist."""

REFUSED = {"ConditionalCheckFailedException", "TransactionCanceledException"}
"""Codes of errors that the handlers' own code expects."""

TELLS = "disconnect"
"""A function that deletes members, and so knows which rooms have presence."""


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
        unanswered: Connections of which the last answer tells neither, and its HTTP status.
    """

    client: Any
    a_second: float = A_SECOND
    alive: int = 0
    unanswered: dict[str, int] = field(default_factory=dict)

    def gone(self, numbers: Iterable[str]) -> set[str]:
        """Return those that do not exist. One about which API Gateway does not answer is not among them."""
        found, begin = set(), time.monotonic()
        for number in numbers:
            time.sleep(max(0.0, begin - time.monotonic()))
            begin = max(begin, time.monotonic()) + 1 / self.a_second
            if self._is_gone(number):
                found.add(number)
        return found

    def _is_gone(self, number: str) -> bool:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - the client has loaded it

        self.unanswered.pop(number, None)
        try:
            self.client.get_connection(ConnectionId=number)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 403:  # another stage, or no right: nothing is known of any connection
                raise
            if status not in GONE:
                self.unanswered[number] = status
            return status in GONE
        self.alive += 1
        return False


class Called:
    """A client of botocore, as the handlers' own code calls AWS. Errors that it does not expect stay botocore's.

    Args:
        client: Of DynamoDB or SQS.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - botocore makes its clients at run time
        self._client = client

    def call(self, operation: str, parameters: Mapping[str, Any], _deadline: float) -> Any:  # noqa: ANN401 - JSON
        """Carry out an operation; the deadline is that of the client.

        Raises:
            aws_json.ServiceError: A condition does not hold.
        """
        from botocore import exceptions, xform_name  # noqa: PLC0415 - the client has loaded it

        try:
            return getattr(self._client, xform_name(operation))(**parameters)
        except exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in REFUSED:
                raise
            raise aws_json.ServiceError(operation, code, error.response, transient=False) from error


class Deletion:
    """Deletes the rows of connections that are gone, one connection after the other, as functions do.

    Rooms with presence are marked, so that their members are told.

    Args:
        stage: The stage.
        account: Access to AWS.

    Raises:
        CommandError: Which rooms have presence cannot be seen.
    """

    def __init__(self, stage: Stage, account: Account) -> None:
        self._table = stage.table
        self._database = Called(account.client("dynamodb"))
        self._marks = _marks(stage, account, self._database) if stage.outputs.get("presence_queue_url") else None

    def connection(self, known: Connection) -> None:
        """Delete all rows of a connection, but not those that a newer one of the same id has written.

        Raises:
            CommandError: Others write the same rows all the time.
        """
        numbers = headcount.Headcount(self._table, maximum=0, shards=1)
        try:
            removal.Removal(changes.Changes(self._table, numbers, self._write, float("inf"))).remove([known])
        except aws_json.ServiceError as error:
            raise CommandError(f"the rows of {known.connection_id} stay: {error}; try again", NOT_REACHABLE) from error

    def _write(self, actions: Sequence[Mapping[str, Any]], deadline: float) -> None:
        def write() -> None:
            self._database.call("TransactWriteItems", {"TransactItems": actions}, deadline)

        if self._marks is None:
            write()
        else:
            self._marks.around(write, actions, deadline)


def _marks(stage: Stage, account: Account, database: Called) -> marks.Marks:
    found = account.client("lambda").get_function_configuration(
        FunctionName=str(stage.outputs["function_arns"][TELLS]).split(":")[6], Qualifier="live"
    )
    variables = {"AWS_REGION": stage.region, **found.get("Environment", {}).get("Variables", {})}
    try:
        told = settings.of(variables)
    except (KeyError, ValueError) as error:
        raise CommandError(f"the environment of the function {TELLS} cannot be read: {error}", NOT_ALLOWED) from error
    queue = Called(account.client("sqs"))
    return marks.Marks(told, cast("aws_json.Service", database), cast("aws_json.Service", queue))
