"""``sendmessage``: a message reaches every member of the sender's room, or the one member it names."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from roomcast import aws_json, events, fanout, logs, protocol, rooms, routes, settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
CONNECTIONS = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, pace=SETTINGS.pace)


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return routes.serve_message(event, context, CONNECTIONS, send)


def send(event: events.Event, deadline: float) -> str | None:
    """Deliver the message; gives the receipt, if the sender asked for one."""
    message = protocol.parse_message(event.body)
    sender = ROOMS.find(event.connection_id, deadline)
    if sender is None:
        raise protocol.Refusal("not_joined")
    report = CONNECTIONS.deliver(
        recipients_of(message, sender, deadline),
        message.data.encode(),
        deadline=deadline,
        on_gone=functools.partial(prune, sender, deadline),
    )
    logs.write_metrics("fan-out", report.to_dict(), request_id=event.request_id)
    return answer(message, report)


def recipients_of(message: protocol.Message, sender: rooms.Connection, deadline: float) -> Iterable[fanout.Recipient]:
    """Everyone in the sender's room, or the one member that the message names."""
    if message.to is None:
        return ROOMS.members(sender.room, deadline)
    member = ROOMS.find(message.to, deadline)
    if member is None or member.room != sender.room:
        raise protocol.Refusal("unknown_recipient")
    return [member.recipient]


def prune(sender: rooms.Connection, deadline: float, gone: Sequence[fanout.Recipient]) -> None:
    """Delete what dead members left; what fails here is left to the next send or to time to live."""
    dead = [recipient for recipient in gone if recipient.connection_id != sender.connection_id]
    try:
        ROOMS.prune(sender.room, dead, deadline)
    except aws_json.ServiceError as error:
        logs.write("WARNING", "dead members stay for now", error=str(error), members=len(dead))


def answer(message: protocol.Message, report: fanout.Report) -> str | None:
    """The receipt, if the sender asked for one; else an error, if somebody was not reached; else nothing."""
    if message.id is not None:
        return protocol.receipt(message.id, report.delivered, report.gone, report.failed)
    if report.failed:
        raise protocol.Refusal("not_delivered")
    if message.to is not None and report.gone:
        raise protocol.Refusal("unknown_recipient")
    return None
