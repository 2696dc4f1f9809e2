"""The steps that all message routes share: serve the message, answer the caller, log one line.

API Gateway ignores the value that a message route returns, so an answer is a post to the caller's own connection
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from roomcast import allowance, aws_json, events, fanout, frames, identity, logs, protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from roomcast.members import Connection
    from roomcast.rooms import Rooms
    from roomcast.settings import Settings

    Serve = Callable[[events.Event, float], str | Sequence[str] | None]
    """Takes the message and a deadline (seconds of ``time.monotonic``), gives the answer, or several, or ``None``."""

OK = {"statusCode": 200}

NO_EVENT = {"statusCode": 400}
"""Answer to an invocation without an event of a WebSocket route: there is no connection to post to."""

UNAWAITED = fanout.Stragglers(is_awaited=False)
"""The caller is the only one that waits for its answer."""

ANSWER_SECONDS = 2.0
"""Time left for the answer to the caller when the table, the queue or other members have used up theirs: enough for a
connection that fails and another one. Of a short time, a quarter."""


def serve_message(  # noqa: PLR0913, PLR0917 - all parts of a route
    raw_event: Mapping[str, Any],
    context: events.Context,
    engine: fanout.Engine,
    serve: Serve,
    table: Rooms,
    afterwards: Callable[[float], None] | None = None,
    *,
    is_quiet: bool = False,
) -> dict[str, int]:
    """Serve a message and send the caller its answer or an error.

    Args:
        raw_event: The event of the invocation.
        context: Lambda's context object.
        engine: Engine that reaches the caller.
        serve: The route's own part; raises ``protocol.Refusal`` for a message that cannot be served.
        table: Tells which protocol the caller speaks.
        afterwards: The work that the caller's answer need not wait for; takes a deadline (``time.monotonic``).
        is_quiet: Whether a message that went well has no line but at the level ``DEBUG``.
    """
    event = read(raw_event, context)
    if event is None:
        return NO_EVENT
    table.forget()
    answer_by = events.deadline(context)
    serve_by = answer_by - min(ANSWER_SECONDS, (answer_by - time.monotonic()) / 4)
    outcome, answers = _served(event, serve_by, serve, table)
    for answer in answers:
        if not reply(engine, event, answer, answer_by):
            # The next one would wait as long for the same caller.
            break
    logs.end(
        "DEBUG" if is_quiet and outcome == logs.SERVED else "INFO",
        "message",
        route=event.route_key,
        outcome=outcome,
    )
    if afterwards is not None:
        afterwards(answer_by)
    return OK


def read(raw_event: Mapping[str, Any], context: events.Context) -> events.Event | None:
    """Read the event of an invocation; ``None``, with a line in the log, if it is none of a WebSocket route.

    Args:
        raw_event: The event.
        context: Lambda's context object; each further line of the invocation names it and the event.
    """
    logs.begin(context.aws_request_id)
    try:
        event = events.parse(raw_event)
    except events.InvalidEventError as error:
        logs.write("ERROR", "not an event of a WebSocket route", field=error.args[0])
        return None
    logs.begin(context.aws_request_id, request_id=event.request_id, connection_id=event.connection_id)
    return event


def note_room(table: Rooms, room: str) -> None:
    """Have the line that ends the invocation name a room, by its digest."""
    logs.note(room=logs.room_hash(table.table_name, room))


def _served(event: events.Event, deadline: float, serve: Serve, table: Rooms) -> tuple[str, Sequence[str]]:
    """Serve a message; gives the outcome for the log, and the answers."""
    try:
        answer = serve(event, deadline)
    except protocol.Refusal as refusal:
        return _refused(event, deadline, refusal.code, table)
    except aws_json.ServiceError as error:
        aws_json.tell("ERROR", "the table or the queue failed", error)
        return _refused(event, deadline, "unavailable", table)
    if answer is None:
        return logs.SERVED, ()
    return logs.SERVED, (answer,) if isinstance(answer, str) else answer


def _refused(event: events.Event, deadline: float, code: str, table: Rooms) -> tuple[str, Sequence[str]]:
    """The error code and the answer, in the caller's protocol."""
    if is_v1(event, deadline, table):
        return code, [frames.error(code, event.request_id, frames.tie_of(event.body, with_room=True))]
    code = protocol.code_in_text_mode(code)
    return code, [protocol.error(code, event.request_id)]


def is_v1(event: events.Event, deadline: float, table: Rooms) -> bool:
    """Whether the caller speaks ``roomcast.v1``; where the table does not tell, its message does."""
    try:
        spoken = table.protocol_of(event.connection_id, deadline)
    except aws_json.ServiceError:
        spoken = None
    return frames.is_suspected(event.body) if spoken is None else spoken == protocol.V1


def v1_caller(table: Rooms, event: events.Event, client: identity.Identity, deadline: float) -> Connection:
    """The connection of a caller that must speak ``roomcast.v1``.

    Raises:
        protocol.Refusal: ``needs_v1``, or the caller has no items.
    """
    caller = table.find(event.connection_id, deadline)
    if caller is None or caller.has_ended:
        raise protocol.Refusal(client.why_absent())
    if not caller.is_v1:
        raise protocol.Refusal("needs_v1")
    return caller


def take_message(table: Rooms, event: events.Event, messages_per_second: float, deadline: float) -> bool:
    """Take one from the messages that a client may send, for an answer that costs as much; false if none is left now.

    Args:
        table: Has the client's item.
        event: The client's message.
        messages_per_second: What it may send; 0 for no limit.
        deadline: Latest end, in seconds of ``time.monotonic``.
    """
    if not messages_per_second:
        return True
    try:
        table.take(event.connection_id, allowance.of_rate(messages_per_second), deadline)
    except allowance.SpentError:
        return False
    return True


def limits_of(caller: Connection, settings: Settings) -> Mapping[str, int]:
    """What the server asks of a client."""
    milliseconds = caller.expires_at * 1000 - int(time.time() * 1000)
    keeps = settings.history_retention_minutes * 60_000 if settings.history_rooms else 0
    return frames.limits_of(settings.client_limits, settings.max_rooms_per_connection, milliseconds, keeps)


def refuse_message(
    raw_event: Mapping[str, Any], context: events.Context, engine: fanout.Engine, table: Rooms
) -> dict[str, int]:
    """Answer a message that named a route not meant for messages, such as ``$connect``."""

    def serve(_event: events.Event, _deadline: float) -> None:
        raise protocol.Refusal("unknown_action")

    return serve_message(raw_event, context, engine, serve, table)


def reply(engine: fanout.Engine, event: events.Event, text: str, deadline: float) -> bool:
    """Post a text to the connection that an event came from; false if API Gateway did not take it.

    Args:
        engine: Engine that reaches the caller.
        event: The caller's event.
        text: The answer.
        deadline: Latest end, in seconds of ``time.monotonic``.
    """
    # API Gateway may not know a connection for a moment after its handshake, although its client sends already. Of an
    # older one, a 410 means that the caller has left.
    caller = fanout.Recipient(event.connection_id, event.connected_at)
    # One post without an answer is no reason to leave it without a receipt.
    report = engine.deliver([caller], text.encode(), deadline=deadline, stragglers=UNAWAITED)
    if not report.delivered and not report.gone:
        logs.write(
            "ERROR",
            "the caller got no answer",
            error=report.transport_error,
            status=report.refused_status,
        )
    return bool(report.delivered)
