"""``sendmessage``: a message reaches every member of the sender's room, or the one member it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import delivery, events, fanout, protocol, queue, rooms, routes, settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
CONNECTIONS = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, pace=SETTINGS.pace)
DELIVERY = delivery.Delivery(CONNECTIONS, ROOMS)
QUEUE = queue.Queue(SETTINGS) if SETTINGS.queue_url else None


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return routes.serve_message(event, context, CONNECTIONS, send)


def send(event: events.Event, deadline: float) -> str | None:
    """Deliver the message, or queue it for the workers; gives the receipt, if the sender asked for one."""
    message = protocol.parse_message(event.body)
    sender = ROOMS.find(event.connection_id, deadline)
    if sender is None:
        raise protocol.Refusal("not_joined")
    fan_out = delivery.FanOut(sender.room, sender.connection_id, message.data, event.request_id)
    if message.to is None and QUEUE is not None:
        QUEUE.put([queue.Task(fan_out, shard) for shard in range(ROOMS.shards_read)], deadline)
        return None if message.id is None else protocol.queued_receipt(message.id)
    try:
        report = DELIVERY.deliver(fan_out, recipients_of(message, sender, deadline), deadline)
    except fanout.DeliveryInterruptedError as error:
        raise protocol.Refusal("unavailable") from error
    return answer(message, report)


def recipients_of(message: protocol.Message, sender: rooms.Connection, deadline: float) -> Iterable[fanout.Recipient]:
    """Everyone in the sender's room, or the one member that the message names."""
    if message.to is None:
        return ROOMS.members(sender.room, deadline)
    member = ROOMS.find(message.to, deadline)
    if member is None or member.room != sender.room:
        raise protocol.Refusal("unknown_recipient")
    return [member.recipient]


def answer(message: protocol.Message, report: fanout.Report) -> str | None:
    """The receipt, if the sender asked for one; else an error, if somebody was not reached; else nothing."""
    if not report.complete:
        raise protocol.Refusal("not_delivered")
    if message.id is not None:
        return protocol.receipt(message.id, report.delivered, report.gone, report.failed)
    if report.failed:
        raise protocol.Refusal("not_delivered")
    if message.to is not None and report.gone:
        raise protocol.Refusal("unknown_recipient")
    return None
