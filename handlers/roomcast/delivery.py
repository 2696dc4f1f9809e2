"""Deliver one message to a room: post it, prune dead connections, log a summary."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast import aws_json, fanout, logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from roomcast.rooms import Rooms

    Callback = Callable[[Sequence[fanout.Recipient]], None]

PRUNE_SECONDS = 2.0
"""Time limit for pruning, because the sender's receipt waits for it. DynamoDB deletes 2,000 members in that time."""

PRUNE_BATCH = fanout.BATCH
"""Members deleted by one transaction. Several senders prune at once: small batches seldom conflict for long."""


class RoomMessage(NamedTuple):
    """A message to the members of a room.

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
        engine: The engine that posts.
        table: The table that dead members are deleted from.
    """

    def __init__(self, engine: fanout.Engine, table: Rooms) -> None:
        self._engine = engine
        self._table = table

    def deliver(self, message: RoomMessage, recipients: Iterable[fanout.Recipient], deadline: float) -> fanout.Report:
        """Post a message to each recipient, then prune the dead ones; parameters and errors as of ``post``."""
        gone: list[fanout.Recipient] = []
        try:
            return self.post(message, recipients, deadline, gone.extend)
        finally:
            self.prune(message, gone, deadline)

    def post(
        self,
        message: RoomMessage,
        recipients: Iterable[fanout.Recipient],
        deadline: float,
        on_gone: Callback,
        stragglers: fanout.Stragglers = fanout.NO_STRAGGLERS,
    ) -> fanout.Report:
        """Post a message to each recipient, without pruning.

        Args:
            message: The message.
            recipients: Members of its room, read as they are posted to.
            deadline: Latest end, in seconds of ``time.monotonic``.
            on_gone: Called with batches of recipients that are dead, for ``prune``.
            stragglers: How to treat recipients that the others need not wait for.

        Raises:
            fanout.DeliveryInterruptedError: Reading ``recipients`` failed; those read before are served.
        """
        try:
            report = self._engine.deliver(
                recipients,
                message.data.encode(),
                deadline=deadline,
                on_gone=on_gone,
                stragglers=stragglers,
            )
        except fanout.DeliveryInterruptedError as error:
            logs.write(
                "ERROR", "the members could not be read", error=str(error.__cause__), request_id=message.request_id
            )
            _log(message, error.report, stragglers)
            raise
        _log(message, report, stragglers)
        return report

    def prune(self, message: RoomMessage, gone: Sequence[fanout.Recipient], deadline: float) -> None:
        """Delete dead members from the table for up to ``PRUNE_SECONDS``; the next send finds those that stay.

        Args:
            message: The message that they were found dead with.
            gone: The dead members.
            deadline: Latest end, in seconds of ``time.monotonic``.
        """
        # The sender has just sent a message: it is alive, also when its own post is answered with 410.
        dead = [recipient for recipient in gone if recipient.connection_id != message.sender]
        # Several senders find the same dead members at once. In an order of its own, each conflicts less.
        random.shuffle(dead)
        until = min(deadline, time.monotonic() + PRUNE_SECONDS)
        for start in range(0, len(dead), PRUNE_BATCH):
            try:
                self._table.prune(message.room, dead[start : start + PRUNE_BATCH], until)
            except aws_json.ServiceError as error:
                logs.write("WARNING", "dead members stay for now", error=str(error), members=len(dead) - start)
                return


def _log(message: RoomMessage, report: fanout.Report, stragglers: fanout.Stragglers) -> None:
    # Late recipients that a callback takes over are tried again: they are not given up.
    given_up = report.failed - (0 if stragglers.on_late is None else report.late)
    logs.write_metrics("fan-out", {**report.to_dict(), "given_up": given_up}, request_id=message.request_id)
    if given_up:
        logs.write("WARNING", "members are given up", members=given_up, request_id=message.request_id)
    if report.refused_status:
        logs.write("ERROR", "posts are refused", status=report.refused_status, request_id=message.request_id)
