"""``sendmessage``: a message reaches every member of the sender's room, or the one member it names."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from roomcast import (
    allowance,
    delivery,
    early,
    events,
    fanout,
    frames,
    history,
    identity,
    logged_rooms,
    logs,
    protocol,
    replay_frames,
    rooms,
    serving,
    settings,
    tasks,
)
from roomcast.steps import Begun, drive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from roomcast.members import Connection
    from roomcast.steps import Steps

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
HISTORY = history.History(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, pace=SETTINGS.pace, http2=SETTINGS.http2)
DELIVERY = delivery.Delivery(ENGINE, ROOMS)
QUEUE = tasks.Queue(SETTINGS) if SETTINGS.queue_url else None


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return serving.serve_message(event, context, ENGINE, send, ROOMS, DELIVERY.prune)


def send(event: events.Event, deadline: float) -> str | None:
    """Deliver the message, or queue it for the workers; gives the receipt, if the sender asked for one."""
    at = int(time.time() * 1000)
    client = identity.of(event, SETTINGS.authorization)
    if client.is_expired:
        raise protocol.Refusal("token_expired")
    if not client.rights.somewhere("send"):
        raise protocol.Refusal("not_allowed")
    with begin(event, client, deadline) as begun:
        return send_from(event, client, at, begun, deadline)


def begin(event: events.Event, client: identity.Identity, deadline: float) -> early.Reads:
    """Ask for the members of the room that the message is probably for, unless they must be read after it is stored."""
    room = ROOMS.senders.room_of(event.connection_id, event.body)
    # A message that goes to the queue, or may be refused, must not cost the read of a room.
    is_early = QUEUE is None and not SETTINGS.messages_per_second
    if room is None or not is_early or HISTORY.keeps(room) or not client.may("send", room):
        return early.Reads()
    return ROOMS.begin(room, event.connection_id, deadline)


def send_from(
    event: events.Event, client: identity.Identity, at: int, begun: early.Reads, deadline: float
) -> str | None:
    """As ``send``, with reads of the sender's room that have begun."""
    sender, once = look_up(event, client, begun, deadline)
    if sender is None or sender.has_ended:
        raise protocol.Refusal(client.why_absent())
    ROOMS.senders.note(sender)
    command = read(event.body, sender)
    serving.note_room(ROOMS, command.room)
    if not client.may("send", command.room):
        raise protocol.Refusal("not_allowed")
    if command.room not in sender.rooms:
        raise protocol.Refusal("not_joined")
    message = delivery.RoomMessage(
        command.room,
        sender.connection_id,
        command.data,
        event.request_id,
        envelope_of(command, sender, client, at),
        taken_at=event.requested_at,
    )
    if command.to is None and HISTORY.keeps(command.room):
        # In text mode an id is a label.
        once = (once or one_who(client, command.id)) if sender.is_v1 and command.id is not None else None
        return send_logged(command, sender, once, message, deadline)
    if not message.fits:
        raise protocol.Refusal("too_large")
    report = pass_on(message, command, sender, begun, deadline)
    return queued(command, sender) if report is None else answer(command, sender, report)


def send_logged(
    command: protocol.Message,
    sender: Connection,
    once: history.Sender | None,
    message: delivery.RoomMessage,
    deadline: float,
) -> str | None:
    """Store the message under the next number of its room, and then deliver or queue it."""
    envelope = message.envelope
    assert envelope is not None
    # Text members send such messages, too, and each must be replayed.
    if not replay_frames.fits_log(command.room, command.data, envelope):
        raise protocol.Refusal("too_large")
    draft = history.Draft(
        command.room, envelope.sender, envelope.at, command.data, command.is_text, envelope.id, message.request_id
    )

    def deliver(kept: history.Kept) -> Steps[fanout.Report | None]:
        yield from ()
        numbered = envelope._replace(sender=kept.sender, at=kept.at, epoch=kept.epoch, seq=kept.seq)
        report = pass_on(message._replace(envelope=numbered), command, sender, early.Reads(), deadline)
        # Members in text mode have no log, so another try must be no duplicate. A text client is told below.
        if sender.is_v1 and report is not None and not report.complete:
            raise protocol.Refusal("unavailable")
        return report

    kept, report = drive(logged_rooms.send(HISTORY, draft, once, deliver, deadline))
    if not sender.is_v1:
        return queued(command, sender) if report is None else answer(command, sender, report)
    return None if command.id is None else receipt_of(kept, command, report)


def pass_on(
    message: delivery.RoomMessage, command: protocol.Message, sender: Connection, begun: early.Reads, deadline: float
) -> fanout.Report | None:
    """Deliver a message, or queue it if it is for all members of its room; gives the report if it was delivered.

    Raises:
        protocol.Refusal: ``unavailable``.
    """
    if command.to is None and QUEUE is not None:
        QUEUE.put([tasks.Task(message, shard) for shard in range(ROOMS.shards_read)], deadline)
        logs.note("queued", tasks=ROOMS.shards_read)
        return None
    try:
        return DELIVERY.deliver(message, recipients_of(command, sender, begun, deadline), deadline)
    except fanout.DeliveryInterruptedError as error:
        raise protocol.Refusal("unavailable") from error


def receipt_of(kept: history.Kept, command: protocol.Message, report: fanout.Report | None) -> str:
    """The receipt of a message that is kept: members that missed it find it in the log."""
    assert command.id is not None
    if kept.is_duplicate:
        outcome: dict[str, object] = {"duplicate": True}
    elif kept.is_sending:
        outcome = {"sending": True}
    elif report is None:
        outcome = {"queued": True}
    else:
        outcome = {"delivered": report.delivered, "gone": report.gone, "failed": report.failed}
    return frames.receipt(command.id, command.room, epoch=kept.epoch, seq=kept.seq, **outcome)


def read(body: str, sender: Connection) -> protocol.Message:
    """Read the message in the sender's protocol."""
    if sender.is_v1:
        return frames.parse_message(body, SETTINGS.maximum_message_bytes)
    command = protocol.parse_message(body, SETTINGS.maximum_message_bytes)
    # A client of text mode is in one room, and whatever it may say of rooms is not for this API.
    if not sender.rooms:
        raise protocol.Refusal("room_required")
    return command._replace(room=next(iter(sender.rooms)))


def envelope_of(command: protocol.Message, sender: Connection, client: identity.Identity, at: int) -> frames.Envelope:
    """What clients of ``roomcast.v1`` learn of the message."""
    name, message_id = client.subject or sender.connection_id, command.id or ""
    # In text mode an id is a label, which a client may use for several messages.
    mid = frames.mid_of(client.subject, message_id if sender.is_v1 else "")
    return frames.Envelope(name, at, mid, message_id, command.is_text, is_direct=command.to is not None)


def one_who(client: identity.Identity, message_id: str) -> history.Sender:
    """Who sends a message under an id."""
    return history.Sender("client", client.subject, message_id)


def look_up(
    event: events.Event, client: identity.Identity, begun: early.Reads, deadline: float
) -> tuple[Connection | None, history.Sender | None]:
    """Read the sender, and meanwhile what is known of its message if that may have been sent before."""
    # With a rate, the sender is no single read, and the read of the message comes after it.
    is_wanted = SETTINGS.history_rooms and not SETTINGS.messages_per_second
    repeated = frames.repeatable(event.body) if is_wanted else None
    if repeated is None or not HISTORY.keeps(repeated[0]) or not client.may("send", repeated[0]):
        return find(event.connection_id, begun, deadline), None
    room, message_id = repeated
    with Begun(HISTORY.look_up(room, one_who(client, message_id), deadline)) as known:
        sender = find(event.connection_id, [known], deadline)
        return sender, drive(known.rest())


def find(connection_id: str, begun: Iterable[Begun[Any, Any]], deadline: float) -> Connection | None:
    """The sender, if it may send another message now."""
    if not SETTINGS.messages_per_second:
        return ROOMS.find(connection_id, deadline, begun)
    try:
        return ROOMS.take(connection_id, allowance.of_rate(SETTINGS.messages_per_second), deadline)
    except allowance.SpentError:
        raise protocol.Refusal("rate_limited") from None


def recipients_of(
    command: protocol.Message, sender: Connection, begun: early.Reads, deadline: float
) -> Iterable[fanout.Recipient]:
    """All members of the room, or those that the message names."""
    room = command.room
    if command.to is None:
        # The sender's own copy shows it that the message is on its way.
        return ROOMS.members(room, deadline, sender.recipient(room), begun)
    named = named_by(command.to, room, deadline)
    if not named and sender.is_v1 and SETTINGS.authorization != "NONE":
        # No item tells the connections of a client: this reads the room, as a message to all members does.
        named = ROOMS.roster(room, deadline).called(command.to.removeprefix(frames.CLIENT))
    if not named:
        raise protocol.Refusal("unknown_recipient")
    return named


def named_by(connection_id: str, room: str, deadline: float) -> list[fanout.Recipient]:
    """The member of a room with that connection id, if there is one."""
    if connection_id.startswith(frames.CLIENT):
        return []
    member = ROOMS.find(connection_id, deadline)
    return [] if member is None or room not in member.rooms or member.has_ended else [member.recipient(room)]


def queued(command: protocol.Message, sender: Connection) -> str | None:
    """The receipt of a message that is safe in the queue, if the sender asked for one."""
    if command.id is None:
        return None
    if sender.is_v1:
        return frames.receipt(command.id, command.room, queued=True)
    return protocol.queued_receipt(command.id)


def answer(command: protocol.Message, sender: Connection, report: fanout.Report) -> str | None:
    """The receipt, if the sender asked for one; else an error, if a recipient was not reached; else nothing."""
    if not report.complete:
        raise protocol.Refusal("not_delivered")
    if command.id is not None and sender.is_v1:
        counts = {"delivered": report.delivered, "gone": report.gone, "failed": report.failed}
        return frames.receipt(command.id, command.room, **counts)
    if command.id is not None:
        return protocol.receipt(command.id, report.delivered, report.gone, report.failed)
    if report.failed:
        raise protocol.Refusal("not_delivered")
    # One of a client's connections may have left, and another one have the message.
    if command.to is not None and report.gone and not report.delivered:
        raise protocol.Refusal("unknown_recipient")
    return None
