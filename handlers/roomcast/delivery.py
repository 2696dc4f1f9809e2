"""Deliver messages to rooms: post them, log a summary of each, and prune dead connections once nothing waits for it."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from roomcast import aws_json, fanout, frames, logs, protocol
from roomcast.backoff import RANDOM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roomcast.rooms import Rooms

PRUNE_SECONDS = 2.0
"""Time limit for pruning, because the function serves no other message meanwhile. DynamoDB deletes 2,000 members in
that time."""

PRUNE_BATCH = fanout.BATCH
"""Members deleted by one transaction. Several senders prune at once: small batches seldom conflict for long."""

FAN_OUT = "fan-out"
"""The name of a fan-out's log line."""


class RoomMessage(NamedTuple):
    """A message to the members of a room, or to the connections of one client.

    Attributes:
        room: Name of the room; empty for a message to a client that names none.
        sender: Connection id of the sender; empty for a backend.
        data: Text that members receive.
        request_id: Id of the sender's request, for the logs.
        envelope: What members of ``roomcast.v1`` receive with it; ``None`` if an earlier release has queued it.
        user: Name of the client whose connections it is for; empty for a message to a room or to a member.
        taken_at: When API Gateway, or a backend's queue, took it from its sender, epoch milliseconds; 0 if unknown.
        about: Further fields of its log line.
    """

    room: str
    sender: str
    data: str
    request_id: str
    envelope: frames.Envelope | None = None
    user: str = ""
    taken_at: int = 0
    about: Mapping[str, object] = MappingProxyType({})

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
        """Post a message to each recipient, and wait for every answer; the line that ends the invocation tells of it.

        Args:
            message: The message.
            recipients: Members of its room, read as they are posted to.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            fanout.DeliveryInterruptedError: Reading ``recipients`` failed; those read before are served.
        """
        [(result, summary)] = self._deliver([(message, message.to(recipients))], deadline, None)
        logs.note(FAN_OUT, summary.metrics, **summary.fields)
        if result.error is not None:
            raise fanout.DeliveryInterruptedError(result.report) from result.error
        return result.report

    def deliver_all(
        self, messages: Sequence[tuple[RoomMessage, fanout.Message]], deadline: float, patience: float | None = None
    ) -> list[fanout.Result]:
        """Post messages side by side, and write a line for each.

        Args:
            messages: Each message, as a room and as the engine knows it; dead recipients are kept for ``prune``.
            deadline: Latest end, in seconds of ``time.monotonic``.
            patience: As of ``fanout.Engine.deliver_all``.
        """
        delivered = self._deliver(messages, deadline, patience)
        for result, summary in delivered:
            if result.is_begun:
                logs.write("INFO", FAN_OUT, summary.metrics, **summary.fields)
        return [result for result, _ in delivered]

    def _deliver(
        self, messages: Sequence[tuple[RoomMessage, fanout.Message]], deadline: float, patience: float | None
    ) -> list[tuple[fanout.Result, Summary]]:
        posts = []
        for message, each in messages:
            gone: list[fanout.Recipient] = []
            self._gone.append((message, gone))
            posts.append(each._replace(on_gone=gone.extend))
        began_at = time.time() * 1000
        results = self._engine.deliver_all(posts, deadline=deadline, patience=patience)
        delivered = []
        for (message, each), result in zip(messages, results, strict=True):
            if result.is_begun:
                _tell(message, result)
            summary = summary_of(message, result, began_at, self._table.table_name, is_aside=each.stragglers.come_last)
            delivered.append((result, summary))
        return delivered

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
            RANDOM.shuffle(dead)
            for start in range(0, len(dead), PRUNE_BATCH):
                batch = dead[start : start + PRUNE_BATCH]
                try:
                    if message.user:
                        self._table.users(until).remove(message.user, batch)
                    else:
                        self._table.prune(message.room, batch, until)
                except aws_json.ServiceError as error:
                    left = len(dead) - start
                    aws_json.tell("WARNING", "dead members stay for now", error, **_names(message), members=left)
                    return


class Summary(NamedTuple):
    """The log line of a fan-out.

    Attributes:
        metrics: Its metrics.
        fields: Its other fields.
    """

    metrics: Mapping[str, float]
    fields: Mapping[str, object]


def summary_of(
    message: RoomMessage, result: fanout.Result, began_at: float, table_name: str, *, is_aside: bool
) -> Summary:
    """The log line of a fan-out.

    Args:
        message: The message.
        result: What came of it.
        began_at: When the run began, epoch milliseconds.
        table_name: Name of the connections table, for the digest of the room.
        is_aside: Whether it was for stragglers alone.
    """
    report = result.report
    metrics: dict[str, float] = {
        "posts": report.posts,
        "delivered": report.delivered,
        "fanout_ms": report.duration_ms,
        "failed": report.given_up - report.slow,
        "slow": report.slow,
        "gone": report.gone,
        "throttled": report.throttled,
        "refused": report.refused,
    }
    outcome = logs.SERVED if report.complete else "incomplete"
    fields = {
        **_names(message),
        "room": logs.room_hash(table_name, message.room) if message.room else "",
        "outcome": "unavailable" if result.error is not None else outcome,
        "retried": report.retried,
        "connections_opened": report.connections_opened,
        "late": report.late,
        "given_up": report.given_up,
        "refused_status": report.refused_status,
        "transport_error": report.transport_error,
    }
    named = {name: value for name, value in fields.items() if value}
    if message.taken_at:
        lag = {"lag_ms": max(0, round(began_at + report.duration_ms) - message.taken_at)}
        # A client that does not read is not to make the backend look late.
        if is_aside or report.slow:
            named |= lag
        else:
            metrics |= lag
    return Summary(metrics, {**named, "recipients": report.recipients, "cpu_ms": report.cpu_ms})


def _names(message: RoomMessage) -> dict[str, object]:
    """The fields that tie lines about a message together."""
    names = {"request_id": message.request_id, "connection_id": message.sender}
    return {**{name: value for name, value in names.items() if value}, **message.about}


def _tell(message: RoomMessage, result: fanout.Result) -> None:
    """Write the lines about what went wrong."""
    report, names = result.report, _names(message)
    if isinstance(result.error, aws_json.ServiceError):
        aws_json.tell("ERROR", "the members could not be read", result.error, **names)
    elif result.error is not None:
        logs.write("ERROR", "the members could not be read", error=str(result.error), **names)
    if report.given_up:
        logs.write("WARNING", "members are given up", members=report.given_up, **names)
    if report.refused_status:
        logs.write("ERROR", "posts are refused", status=report.refused_status, **names)
