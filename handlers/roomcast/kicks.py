"""Kicks: requests of backends to throw a client out, and the order of the steps.

The order is the guarantee (``users``): the client's denial is written before its connections are listed, and their
items are deleted before anything is posted. From then on no message is sent to them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import backends, fanout, frames, protocol
from roomcast.verdicts import MINIMUM_AGE_TO_PRUNE, SILENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomcast.members import Connection
    from roomcast.rooms import Rooms

MAXIMUM_REASON_CHARACTERS = 200
"""Few enough for a line in a client."""

MARGIN_SECONDS = 120
"""A denial outlasts its end by so much, also without a ban: for clocks that differ by a minute, for handshakes that
have begun before, and for the time that a kick takes."""

MAXIMUM_MILLISECONDS = 2**53
"""Numbers are exact up to here in every language."""

PAUSE_SECONDS = 0.5
"""Between two tries to close a connection that may not be open yet."""

FRAME_SECONDS = SILENCE_SECONDS
"""How long the frame is tried: a client that does not read must not keep its connection open with it."""


class Kick(NamedTuple):
    """A request to throw out a client.

    Attributes:
        user: Name of the client; empty if a connection is named.
        connection_id: Id of the connection; empty if a client is named.
        reason: For the client; empty for none.
        until: When it may connect again, in milliseconds since 1970; 0 for at once.
    """

    user: str = ""
    connection_id: str = ""
    reason: str = ""
    until: int = 0

    def denied_until(self, now: float) -> int:
        """When the denial ends, in seconds since 1970."""
        return max(-(-self.until // 1000), int(now)) + MARGIN_SECONDS

    @property
    def frame(self) -> bytes:
        """The frame for clients of ``roomcast.v1``."""
        fields = {"reason": self.reason, "until": self.until}
        return frames.answer("kicked", {}, **{name: value for name, value in fields.items() if value}).encode()


class Outcome(NamedTuple):
    """What a kick has done.

    Attributes:
        connections: How many connections were found; their items are deleted.
        closed: How many of them were closed.
        gone: How many were closed before.
        failed: How many may still be open. They receive nothing, and API Gateway closes them in the end.
    """

    connections: int
    closed: int
    gone: int
    failed: int


def read(request: Mapping[str, Any], *, has_identities: bool) -> Kick:
    """Read a request.

    Args:
        request: The input of the invocation.
        has_identities: Whether clients have names.

    Raises:
        backends.BackendRefusal: ``invalid_request``, ``no_identities``, ``invalid_user``, ``invalid_connection``,
            ``invalid_reason`` or ``invalid_until``.
    """
    if not isinstance(request, dict) or ("user" in request) == ("connection" in request):
        raise backends.BackendRefusal("invalid_request")
    reason, until = request.get("reason"), request.get("until")
    if reason is not None and not backends.is_name(reason, MAXIMUM_REASON_CHARACTERS):
        raise backends.BackendRefusal("invalid_reason")
    is_number = isinstance(until, int) and not isinstance(until, bool) and 0 <= until <= MAXIMUM_MILLISECONDS
    # A connection is not let in again, so that no time can be named for it.
    if until is not None and (not is_number or "connection" in request):
        raise backends.BackendRefusal("invalid_until")
    if "connection" in request:
        return Kick(connection_id=_connection(request["connection"]), reason=reason or "")
    if not has_identities:
        raise backends.BackendRefusal("no_identities")
    if not backends.is_name(request["user"]):
        raise backends.BackendRefusal("invalid_user")
    return Kick(user=request["user"], reason=reason or "", until=until or 0)


def expel(kick: Kick, table: Rooms, deadline: float) -> list[Connection]:
    """Keep a client out, and delete all items of its connections; gives those.

    Args:
        kick: The request.
        table: The connections table.
        deadline: Latest end, in seconds of ``time.monotonic``.

    Raises:
        aws_json.ServiceError: The table could not be read or written; the kick must be tried again.
    """
    users = table.users(deadline)
    if kick.user:
        users.deny(kick.user, kick.denied_until(time.time()))
        found = users.connections(kick.user)
    else:
        known = table.find(kick.connection_id, deadline)
        found = [] if known is None else [known]
    table.remove(found, deadline)
    return found


class Closing:
    """Closes connections, and tells their clients why.

    Args:
        engine: Posts the frame.
        closer: Closes connections.
    """

    def __init__(self, engine: fanout.Engine, closer: fanout.Engine) -> None:
        self._engine = engine
        self._closer = closer

    def close(self, connections: Sequence[Connection], frame: bytes, deadline: float) -> Outcome:
        """Post a frame to each connection of ``roomcast.v1``, and close all.

        API Gateway answers 410 for a connection as long as its handshake is not answered, and it opens afterwards. So a
        young one is tried again.

        Args:
            connections: The connections.
            frame: The frame.
            deadline: Latest end, in seconds of ``time.monotonic``.
        """
        left, counts = [*connections], {"closed": 0, "gone": 0, "failed": 0}
        while left:
            told = [fanout.Recipient(each.connection_id, each.connected_at) for each in left if each.is_v1]
            if told:
                told_by = min(deadline, time.monotonic() + FRAME_SECONDS)
                self._engine.deliver_all([fanout.Message(told, frame)], deadline=told_by)
            young = []
            for each, kind in zip(left, self._closed(left, deadline), strict=True):
                if kind == "gone" and _is_young(each) and time.monotonic() + PAUSE_SECONDS < deadline:
                    young.append(each)
                else:
                    counts["failed" if kind == "gone" and _is_young(each) else kind] += 1
            left = young
            if left:
                time.sleep(PAUSE_SECONDS)
        return Outcome(len(connections), **counts)

    def _closed(self, connections: Sequence[Connection], deadline: float) -> list[str]:
        """Close connections; gives the outcome of each."""
        recipients = [fanout.Recipient(each.connection_id, each.connected_at) for each in connections]
        # A message for each, so that each has a report.
        messages = [fanout.Message([each], b"") for each in recipients]
        results = self._closer.deliver_all(messages, deadline=deadline)
        return [_kind(result.report) for result in results]


def _kind(report: fanout.Report) -> str:
    if report.delivered:
        return "closed"
    return "gone" if report.gone else "failed"


def _is_young(each: Connection) -> bool:
    """Whether its handshake may still be under way."""
    return time.time() - each.connected_at / 1000 < MINIMUM_AGE_TO_PRUNE


def _connection(value: object) -> str:
    if not isinstance(value, str) or not protocol.CONNECTION_ID.fullmatch(value):
        raise backends.BackendRefusal("invalid_connection")
    return value
