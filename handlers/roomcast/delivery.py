"""Deliver messages to rooms: post them, log a summary of each, and prune dead connections once nothing waits for it."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast import aws_json, fanout, frames, logs, protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roomcast.rooms import Rooms

PRUNE_SECONDS = 2.0
"""Time limit for pruning, because the function serves no other message meanwhile. DynamoDB deletes 2,000 members in
that time."""

PRUNE_BATCH = fanout.BATCH
"""Members deleted by one transaction. Several senders prune at once: small batches seldom conflict for long."""


class RoomMessage(NamedTuple):
    """A message to the members of a room, or to the connections of one client.

    Attributes:
        room: Name of the room; empty for a message to a client that names none.
        sender: Connection id of the sender; empty for a backend.
        data: Text that members receive.
        request_id: Id of the sender's request, for the logs.
        envelope: What members of ``roomcast.v1`` receive with it; ``None`` if an earlier release has queued it.
        user: Name of the client whose connections it is for; empty for a message to a room or to a member.
    """

    room: str
    sender: str
    data: str
    request_id: str
    envelope: frames.Envelope | None = None
    user: str = ""

    @property
    def frame(self) -> bytes | None:
        """What members of ``roomcast.v1`` receive; ``None`` if it would be larger than API Gateway takes."""
        envelope = self.envelope or frames.Envelope(self.sender, int(time.time() * 1000), self.request_id)
        frame = frames.message(self.room, self.data, envelope).encode()
        return frame if len(frame) <= frames.MAXIMUM_BYTES else None

    @property
    def fits(self) -> bool:
        """Whether API Gateway takes it in the form of each protocol, so that no member of its room goes without."""
        return len(self.data) <= frames.SAFE_CHARACTERS or self.frame is not None

    def to(self, recipients: Iterable[fanout.Recipient]) -> fanout.Message:
        """The message as the engine takes it."""
        # The frame is made only if a member needs it.
        return fanout.Message(recipients, self.data.encode(), others={protocol.V1: lambda: self.frame})


class Delivery:
    """Delivers messages.

    Args:
        engine: The engine that posts.
        table: The table that dead members are deleted from.
    """

    def __init__(self, engine: fanout.Engine, table: Rooms) -> None:
        self._engine = engine
        self._table = table
        self._gone: list[tuple[RoomMessage, list[fanout.Recipient]]] = []

    def deliver(self, message: RoomMessage, recipients: Iterable[fanout.Recipient], deadline: float) -> fanout.Report:
        """Post a message to each recipient, and wait for every answer.

        Args:
            message: The message.
            recipients: Members of its room, read as they are posted to.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            fanout.DeliveryInterruptedError: Reading ``recipients`` failed; those read before are served.
        """
        [result] = self.deliver_all([(message, message.to(recipients))], deadline)
        if result.error is not None:
            raise fanout.DeliveryInterruptedError(result.report) from result.error
        return result.report

    def deliver_all(
        self, messages: Sequence[tuple[RoomMessage, fanout.Message]], deadline: float, patience: float | None = None
    ) -> list[fanout.Result]:
        """Post messages side by side.

        Args:
            messages: Each message, as a room and as the engine knows it; dead recipients are kept for ``prune``.
            deadline: Latest end, in seconds of ``time.monotonic``.
            patience: As of ``fanout.Engine.deliver_all``.
        """
        posts = []
        for message, each in messages:
            gone: list[fanout.Recipient] = []
            self._gone.append((message, gone))
            posts.append(each._replace(on_gone=gone.extend))
        results = self._engine.deliver_all(posts, deadline=deadline, patience=patience)
        for (message, each), result in zip(messages, results, strict=True):
            _log(message, result, each.stragglers)
        return results

    def prune(self, deadline: float) -> None:
        """Delete members found dead, for up to ``PRUNE_SECONDS``; the next send finds those that stay.

        Args:
            deadline: Latest end, in seconds of ``time.monotonic``.
        """
        until = min(deadline, time.monotonic() + PRUNE_SECONDS)
        found, self._gone = self._gone, []
        for message, gone in found:
            # The sender has just sent a message: it is alive, also when its own post is answered with 410.
            dead = [recipient for recipient in gone if recipient.connection_id != message.sender]
            # Several senders find the same dead members at once. In an order of its own, each conflicts less.
            random.shuffle(dead)
            for start in range(0, len(dead), PRUNE_BATCH):
                batch = dead[start : start + PRUNE_BATCH]
                try:
                    if message.user:
                        self._table.users(until).remove(message.user, batch)
                    else:
                        self._table.prune(message.room, batch, until)
                except aws_json.ServiceError as error:
                    logs.write("WARNING", "dead members stay for now", error=str(error), members=len(dead) - start)
                    return


def _log(message: RoomMessage, result: fanout.Result, stragglers: fanout.Stragglers) -> None:
    if not result.is_begun:
        return
    report = result.report
    if result.error is not None:
        logs.write("ERROR", "the members could not be read", error=str(result.error), request_id=message.request_id)
    # Late recipients that a callback takes over are tried again: they are not given up.
    given_up = report.failed - (0 if stragglers.on_late is None else report.late)
    logs.write_metrics("fan-out", {**report.to_dict(), "given_up": given_up}, request_id=message.request_id)
    if given_up:
        logs.write("WARNING", "members are given up", members=given_up, request_id=message.request_id)
    if report.refused_status:
        logs.write("ERROR", "posts are refused", status=report.refused_status, request_id=message.request_id)
