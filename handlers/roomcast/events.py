"""Events that API Gateway hands to a function behind a WebSocket route.

Only the fields that AWS always sends are required; ``null`` counts as missing
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEADLINE_RESERVE_SECONDS = 0.5
"""Time left at the end of an invocation for the last log lines and the return: Lambda kills a late function. They take
some hundredths of a second on a quiet machine, ten times that on a busy one."""


class Context(Protocol):
    """The part of Lambda's context object that handlers use."""

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
        body: Text of the message; empty on ``CONNECT`` and ``DISCONNECT``.
        query: Query string parameters of the handshake, every value of each; empty on other events.
    """

    type: str
    route_key: str
    connection_id: str
    connected_at: int
    request_id: str
    body: str
    query: Mapping[str, Sequence[str]]


def parse(event: Mapping[str, Any]) -> Event:
    """Read an event.

    Raises:
        KeyError: The event did not come from a WebSocket route.
    """
    context = event["requestContext"]
    return Event(
        type=context["eventType"],
        route_key=context["routeKey"],
        connection_id=context["connectionId"],
        connected_at=int(context["connectedAt"]),
        request_id=context.get("requestId") or "",
        body=event.get("body") or "",
        query=_query(event),
    )


def _query(event: Mapping[str, Any]) -> dict[str, list[str]]:
    """All values of each parameter, from either of the two fields, because one may be missing."""
    single = event.get("queryStringParameters") or {}
    query = {name: [value] for name, value in single.items() if value is not None}
    for name, values in (event.get("multiValueQueryStringParameters") or {}).items():
        present = [value for value in values or () if value is not None]
        if present:
            query[name] = present
    return query


def deadline(context: Context) -> float:
    """When work must be finished, in seconds of ``time.monotonic``, so that the answer still gets out."""
    return time.monotonic() + context.get_remaining_time_in_millis() / 1000 - DEADLINE_RESERVE_SECONDS
