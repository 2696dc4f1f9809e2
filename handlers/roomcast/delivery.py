"""One message to many members: posts, what is deleted of the dead, and the line that says how it went."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast import aws_json, fanout, logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from roomcast.rooms import Rooms

PRUNE_SECONDS = 2.0
"""How long the deletion of dead members may take, for the living wait meanwhile."""


class FanOut(NamedTuple):
    """A message on its way to the members of a room.

    Attributes:
        room: Name of the room.
        sender: Connection id of the sender.
        data: Text that members receive.
        request_id: Id of the sender's request, for the logs.
    """

    room: str
    sender: str
    data: str
    request_id: str


class Delivery:
    """Delivers messages.

    Args:
        connections: The engine that posts.
        table: The table that dead members are deleted from.
    """

    def __init__(self, connections: fanout.Engine, table: Rooms) -> None:
        self._connections = connections
        self._table = table

    def deliver(
        self,
        fan_out: FanOut,
        recipients: Iterable[fanout.Recipient],
        deadline: float,
        on_failed: Callable[[Sequence[fanout.Recipient]], None] | None = None,
    ) -> fanout.Report:
        """Post a message to each recipient.

        Args:
            fan_out: The message.
            recipients: Members of its room, pulled as they are posted to.
            deadline: Latest end, in seconds of ``time.monotonic``.
            on_failed: Called with batches of recipients that could not be reached in time.

        Raises:
            fanout.DeliveryInterruptedError: Reading ``recipients`` failed; those before have been served.
        """
        table_answers = True

        def prune(gone: Sequence[fanout.Recipient]) -> None:
            nonlocal table_answers
            # The sender has just spoken: whatever the answer to its post was, it is not dead.
            dead = [recipient for recipient in gone if recipient.connection_id != fan_out.sender]
            if not table_answers:
                return
            try:
                self._table.prune(fan_out.room, dead, min(deadline, time.monotonic() + PRUNE_SECONDS))
            except aws_json.ServiceError as error:
                # The next send or time to live will find these and those to come.
                table_answers = False
                logs.write("WARNING", "dead members stay for now", error=str(error), members=len(dead))

        try:
            report = self._connections.deliver(
                recipients, fan_out.data.encode(), deadline=deadline, on_gone=prune, on_failed=on_failed
            )
        except fanout.DeliveryInterruptedError as error:
            logs.write("ERROR", "the members could not be read", error=str(error.__cause__))
            _log(fan_out, error.report)
            raise
        _log(fan_out, report)
        return report


def _log(fan_out: FanOut, report: fanout.Report) -> None:
    logs.write_metrics("fan-out", report.to_dict(), request_id=fan_out.request_id)
