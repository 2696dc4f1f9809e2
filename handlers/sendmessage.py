"""``sendmessage``: a message reaches every member of the sender's room, or the one member it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import allowance, delivery, events, fanout, identity, protocol, rooms, serving, settings, tasks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from roomcast.members import Connection

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, pace=SETTINGS.pace, http2=SETTINGS.http2)
DELIVERY = delivery.Delivery(ENGINE, ROOMS)
QUEUE = tasks.Queue(SETTINGS) if SETTINGS.queue_url else None


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return serving.serve_message(event, context, ENGINE, send, DELIVERY.prune)


def send(event: events.Event, deadline: float) -> str | None:
    """Deliver the message, or queue it for the workers; gives the receipt, if the sender asked for one."""
    client = identity.of(event, SETTINGS.authorization)
    if client.is_expired:
        raise protocol.Refusal("token_expired")
    if not client.rights.somewhere("send"):
        raise protocol.Refusal("not_allowed")
    command = protocol.parse_message(event.body, SETTINGS.maximum_message_bytes)
    sender = find(event.connection_id, deadline)
    if sender is None or sender.has_ended:
        raise protocol.Refusal(client.why_absent())
    room = room_of(command, sender)
    if not client.may("send", room):
        raise protocol.Refusal("not_allowed")
    message = delivery.RoomMessage(room, sender.connection_id, command.data, event.request_id)
    if command.to is None and QUEUE is not None:
        QUEUE.put([tasks.Task(message, shard) for shard in range(ROOMS.shards_read)], deadline)
        return None if command.id is None else protocol.queued_receipt(command.id)
    try:
        report = DELIVERY.deliver(message, recipients_of(command, sender, room, deadline), deadline)
    except fanout.DeliveryInterruptedError as error:
        raise protocol.Refusal("unavailable") from error
    return answer(command, report)


def find(connection_id: str, deadline: float) -> Connection | None:
    """The sender, if it may send another message now."""
    if not SETTINGS.messages_per_second:
        return ROOMS.find(connection_id, deadline)
    try:
        return ROOMS.take(connection_id, allowance.of_rate(SETTINGS.messages_per_second), deadline)
    except allowance.SpentError:
        raise protocol.Refusal("rate_limited") from None


def room_of(command: protocol.Message, sender: Connection) -> str:
    """The room that a message is for: the sender's only one, or of several the one that the message names."""
    if len(sender.rooms) == 1:
        return next(iter(sender.rooms))
    if command.room is None or command.room not in sender.rooms:
        raise protocol.Refusal("not_joined")
    return command.room


def recipients_of(
    command: protocol.Message, sender: Connection, room: str, deadline: float
) -> Iterable[fanout.Recipient]:
    """All members of the room, or the one member that the message names."""
    if command.to is None:
        # The sender's own copy shows it that the message is on its way.
        return ROOMS.members(room, deadline, sender.recipient(room))
    member = ROOMS.find(command.to, deadline)
    if member is None or room not in member.rooms or member.has_ended:
        raise protocol.Refusal("unknown_recipient")
    return [member.recipient(room)]


def answer(command: protocol.Message, report: fanout.Report) -> str | None:
    """The receipt, if the sender asked for one; else an error, if a recipient was not reached; else nothing."""
    if not report.complete:
        raise protocol.Refusal("not_delivered")
    if command.id is not None:
        return protocol.receipt(command.id, report.delivered, report.gone, report.failed)
    if report.failed:
        raise protocol.Refusal("not_delivered")
    if command.to is not None and report.gone:
        raise protocol.Refusal("unknown_recipient")
    return None
