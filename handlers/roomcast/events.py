"""Events that API Gateway hands to a function behind a WebSocket route, and Amazon SQS to one behind a queue.

Of a route, only the fields that AWS always sends are required; ``null`` counts as missing
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html).
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from roomcast import logs, protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEADLINE_RESERVE_SECONDS = 0.5
"""Time left at the end of an invocation for the last log lines and the return: Lambda kills a late function. They take
some hundredths of a second on a quiet machine, ten times that on a busy one."""

MAXIMUM_MILLISECONDS = 2**53
"""Numbers are exact up to here in every language."""

_PLAIN = re.compile(r"[!-~]{1,128}")


class Context(Protocol):
    """The part of Lambda's context object that handlers use."""

    aws_request_id: str
    """Id of the invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds left before Lambda ends the invocation."""


class Event(NamedTuple):
    """One event of a WebSocket route.

    Attributes:
        type: ``CONNECT``, ``MESSAGE`` or ``DISCONNECT``.
        route_key: Key of the route that API Gateway selected.
        connection_id: Opaque id of the connection.
        connected_at: When the connection was made, epoch milliseconds.
        request_id: Id that API Gateway gave this event; empty if it gave none.
        requested_at: When API Gateway took it, epoch milliseconds; 0 if it did not say so.
        body: Text of the message; empty on ``CONNECT`` and ``DISCONNECT``.
        query: Query string parameters of the handshake, every value of each; empty on other events.
        authorizer: Context that a Lambda authorizer gave for the client; ``None`` if none ran.
        user_arn: ARN of the caller that signed the handshake; empty without ``AWS_IAM``.
        subprotocols: Names that the handshake offers in ``Sec-WebSocket-Protocol``, in order; empty on other events.
    """

    type: str
    route_key: str
    connection_id: str
    connected_at: int
    request_id: str
    requested_at: int
    body: str
    query: Mapping[str, Sequence[str]]
    authorizer: Mapping[str, Any] | None
    user_arn: str
    subprotocols: Sequence[str]


class Record(NamedTuple):
    """A message of a queue (https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html).

    Attributes:
        id: Its id, by which a function reports that it failed; an empty one makes SQS redeliver the whole batch
            (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
        body: Its text.
        attributes: What SQS says of it; ``None`` if that is missing.
        receipt: Its receipt handle, which belongs to this delivery.

    A text that is missing or malformed is empty.
    """

    id: str
    body: str
    attributes: Mapping[str, Any] | None = None
    receipt: str = ""

    @property
    def sent_at(self) -> int:
        """When the queue took it, epoch milliseconds; 0 if the queue does not say so."""
        return sound_number((self.attributes or {}).get("SentTimestamp"))

    @property
    def receives(self) -> int:
        """How often it has been received, this time included; 0 if the queue does not say so."""
        return sound_number((self.attributes or {}).get("ApproximateReceiveCount"))


class InvalidEventError(KeyError):
    """The event did not come from a WebSocket route; names the field that is missing or of another type."""


def parse(event: Mapping[str, Any]) -> Event:
    """Read an event. A field that AWS may leave out counts as missing also when it has another type.

    Raises:
        InvalidEventError: The event did not come from a WebSocket route.
    """
    event = _mapping(event)
    context = _mapping(event.get("requestContext"))
    authorizer = context.get("authorizer")
    return Event(
        type=_required(context, "eventType"),
        route_key=_required(context, "routeKey"),
        connection_id=_required(context, "connectionId"),
        connected_at=_milliseconds(context, "connectedAt"),
        request_id=_printable(context.get("requestId")),
        requested_at=sound_number(context.get("requestTimeEpoch")),
        body=_text(event.get("body")),
        query=_values(event, "queryStringParameters", "multiValueQueryStringParameters"),
        authorizer=None if authorizer is None else _mapping(authorizer),
        user_arn=_printable(_mapping(context.get("identity")).get("userArn")),
        subprotocols=_subprotocols(_values(event, "headers", "multiValueHeaders")),
    )


def records_of(event: object) -> list[Record]:
    """The messages of a queue's event; none, and a line in the log, if it is not one."""
    listed = _mapping(event).get("Records")
    if not isinstance(listed, list):
        logs.write("ERROR", "not an event of a queue")
        return []
    return [_record(_mapping(each)) for each in listed]


def _record(fields: Mapping[str, Any]) -> Record:
    attributes = fields.get("attributes")
    return Record(
        sound_text(fields.get("messageId")),
        sound_text(fields.get("body")),
        attributes if isinstance(attributes, dict) else None,
        sound_text(fields.get("receiptHandle")),
    )


def _required(context: Mapping[str, Any], name: str) -> str:
    value = context.get(name)
    # Connection ids are parts of keys, and all of these are logged.
    if not isinstance(value, str) or not _PLAIN.fullmatch(value):
        raise InvalidEventError(name)
    return value


def _milliseconds(context: Mapping[str, Any], name: str) -> int:
    number = _number(context.get(name))
    if number is None:
        raise InvalidEventError(name)
    return number


def sound_number(value: object) -> int:
    """A whole number that AWS gave, perhaps as text; 0 for anything else."""
    return _number(value) or 0


def _number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= MAXIMUM_MILLISECONDS else None


def _values(event: Mapping[str, Any], single: str, several: str) -> dict[str, list[str]]:
    """All values of each parameter, from either of the two fields, because one may be missing."""
    values = {name: [value] for name, value in _mapping(event.get(single)).items() if isinstance(value, str)}
    for name, listed in _mapping(event.get(several)).items():
        present = [value for value in listed if isinstance(value, str)] if isinstance(listed, list) else []
        if present:
            values[name] = present
    return values


def _subprotocols(headers: Mapping[str, Sequence[str]]) -> list[str]:
    """The names in the header's lists; its own name may be spelt in several ways in one event."""
    lists = [value for name, values in headers.items() if name.lower() == "sec-websocket-protocol" for value in values]
    names = [name.strip(" \t") for each in lists for name in each.split(",")]
    return [name for name in names if name]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def sound_text(value: object) -> str:
    """A text that UTF-8 can encode; any other value is an empty text."""
    text = _text(value)
    return "" if protocol.SURROGATE.search(text) else text


def _printable(value: object) -> str:
    """A text that answers and log lines may repeat: half of a surrogate pair could not be sent."""
    text = _text(value)
    return text if text.isprintable() else ""


def deadline(context: Context) -> float:
    """When work must be finished, in seconds of ``time.monotonic``, so that the answer still gets out."""
    return time.monotonic() + context.get_remaining_time_in_millis() / 1000 - DEADLINE_RESERVE_SECONDS
