"""Messages that backends publish: requests, and the answers to them.

A request is one message as JSON: ``{"room": ..., "data": ...}`` for the members of a room, ``{"user": ..., "data":
...}`` for the connections of a client, or ``{"position": ...}``, which asks how far a room's log is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import backends, frames, protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

MAXIMUM_MESSAGES = 100
"""Of one invocation: their stores and posts take some seconds of its time."""

MAXIMUM_BYTES = 1_048_576
"""Of the messages of one invocation as JSON: eight of the largest."""

SENDER = "system"
"""Name of the sender in messages that name none."""

KINDS = ("room", "user", "position")
RESERVED = frozenset({"ephemeral", "meta"})
"""Fields that a later release may serve. They are refused and never ignored, so that a backend knows."""


class Publication(NamedTuple):
    """A request of a backend.

    Attributes:
        kind: One of ``KINDS``.
        name: Name of the room, or of the client.
        data: As of ``protocol.Message``; empty for a position.
        is_text: As of ``protocol.Message``.
        id: The backend's id of the message; empty for none.
        sender: Name of the sender, as members see it.
    """

    kind: str
    name: str
    data: str = ""
    is_text: bool = True
    id: str = ""
    sender: str = SENDER

    @property
    def order(self) -> str:
        """Messages of one order reach a member one after the other."""
        return f"{self.kind} {self.name}"

    @property
    def mid(self) -> str:
        """As of ``frames.Envelope``; no client has the sender's name in it."""
        return frames.mid_of(f"publish\0{self.sender}", self.id)


def read(body: str, maximum_bytes: int, default_id: str = "") -> Publication:
    """Read a request.

    Args:
        body: The request as JSON.
        maximum_bytes: Size limit of ``data`` in UTF-8.
        default_id: The message's id if the request names none; empty for none.

    Raises:
        protocol.Refusal: ``unsupported``, ``room_required``, ``invalid_room``, ``invalid_user``, ``invalid_id``,
            ``invalid_from``, or as of ``protocol.data_in``.
    """
    request = protocol.parse_object(body)
    if not RESERVED.isdisjoint(request):
        raise protocol.Refusal("unsupported")
    named = [kind for kind in KINDS if kind in request]
    if len(named) != 1:
        raise protocol.Refusal("room_required")
    [kind] = named
    name = request[kind]
    if kind == "user" and not backends.is_name(name):
        raise backends.BackendRefusal("invalid_user")
    if kind != "user" and not protocol.is_room(name):
        raise protocol.Refusal("invalid_room")
    if kind == "position":
        return Publication(kind, name)
    frames.check_id(request)
    message_id = request["id"] if request.get("id") is not None else default_id
    data, is_text = protocol.data_in(request, body, maximum_bytes)
    return Publication(kind, name, data, is_text, message_id, _sender(request))


def bodies_of(event: Mapping[str, Any]) -> list[str]:
    """The requests of an invocation, each as JSON.

    Raises:
        protocol.Refusal: ``invalid_request``, ``too_many_messages`` or ``too_large``.
    """
    messages = event.get("messages") if isinstance(event, dict) else None
    if not isinstance(messages, list):
        raise backends.BackendRefusal("invalid_request")
    if len(messages) > MAXIMUM_MESSAGES:
        raise backends.BackendRefusal("too_many_messages")
    bodies = [_text_of(each) for each in messages]
    # Half of a surrogate pair is refused with its message, and counts here as what it would be replaced by.
    if sum(len(body.encode(errors="replace")) for body in bodies) > MAXIMUM_BYTES:
        raise protocol.Refusal("too_large")
    return bodies


def _text_of(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        # No JSON: refused with its message.
        return ""


def _sender(request: Mapping[str, Any]) -> str:
    sender = request.get("from")
    if sender is None:
        return SENDER
    if not backends.is_name(sender):
        raise backends.BackendRefusal("invalid_from")
    return sender
