"""The wire protocol: texts that clients send and receive, and the error codes.

In plain text mode a message arrives exactly as its ``data``. Answers to the caller are JSON objects with a single
member that names their kind: ``receipt``, ``whoami``, ``pong`` or ``error``. A member can send a text that looks like
one of those, so a client must not trust them more than it trusts the members of its room. The other protocol is in
``frames``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEXT = "text"
"""Name of text mode, kept with every membership."""

V1 = "roomcast.v1"
"""Name of the protocol of ``frames``: its subprotocol, kept with every membership as well."""

SUBPROTOCOLS = {"roomcast.text": TEXT, V1: V1}
"""Names that a handshake may offer in ``Sec-WebSocket-Protocol``, and the protocols that they stand for. Offering none
gives text mode, too; its name is for browsers, which end a connection if its answer echoes none of their names. A token
there is no such name."""

DEFAULT_ROOM = "default"
MAXIMUM_DATA_BYTES = 131_072
"""Size limit of one post to a connection (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""

MAXIMUM_ID_CHARACTERS = 64

MOST_ROOMS = 40
"""Upper limit of a connection's rooms: a transaction that deletes it takes 100 actions, two for each room."""

MOST_MESSAGES = 100
"""Upper limit of earlier messages that a client may ask for."""

CONNECTION_ID = re.compile(r"[A-Za-z0-9_=-]{1,128}")
SURROGATE = re.compile("[\ud800-\udfff]")
MAXIMUM_DIGITS = 16
"""Of the whole numbers that are read: 2^53 has so many."""
ROOM_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

MAXIMUM_DEPTH = 300
"""Of brackets around each other in data: parsers of clients go less deep than the function's own, and a member with a
parser that fails would never get past such a message in a room that keeps it."""

_STRINGS_AND_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}]')
_BLANKS = re.compile(r"[ \t\n\r]*")
# With all whole escapes removed, an escape that remains is half of a surrogate pair.
_WHOLE_ESCAPES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}|\\[^u]"
)

ERRORS = {
    "not_json": "the message is not JSON; send a JSON object with an action",
    "not_an_object": "the message is JSON but not an object; send a JSON object with an action",
    "no_action": "the message has no action; name a route of this API, as a string",
    "unknown_action": "the action names no route of this API; name one that it has",
    "missing_data": "sendmessage needs data; send any JSON value but an empty string",
    "not_unicode": "data holds half of a surrogate pair and cannot be sent as UTF-8; send whole characters",
    "too_large": "data is larger than this API takes: at most 131072 bytes of UTF-8 together with its frame; split it",
    "invalid_id": "id is not a string of 1 to 64 characters; choose another",
    "id_reused": "another message was sent under this id a moment ago; choose an id for each message",
    "invalid_room": "room is not 1 to 64 of the characters A-Z a-z 0-9 . _ -; name another",
    "invalid_since": "since is no position with epoch and seq, or last no number from 0 to 100; name what joined gave",
    "room_required": "the message names no room; name one that this connection has joined",
    "needs_v1": "this action is for clients of roomcast.v1; offer that subprotocol when you connect",
    "unsupported": "this stage does not serve that field; leave it out",
    "unknown_recipient": "to is not the connection id of a member of your room; ask the recipient for its whoami",
    "not_joined": "this connection is no longer in a room; reconnect",
    "reconnect": "this connection is no longer known; open another one and join again",
    "too_many_rooms": "this connection is in as many rooms as it may be; leave one first",
    "not_delivered": "the message did not reach every recipient in time; send it again if duplicates do no harm",
    "not_allowed": "your token does not allow this in that room; ask for a token that does",
    "token_expired": "your token has expired; connect again with a new one",
    "rate_limited": "this connection sends more messages a second than it may; wait a second and send it again",
    "room_full": "the room has as many members as it may have; try again later",
    "unavailable": "the service could not serve the message, which may have reached some recipients; try again",
}
"""The closed list of error codes, stable for ever, and their messages: the fault, a semicolon, and the remedy.
No message repeats input."""


class Refusal(Exception):  # noqa: N818 - an answer to the client, not a failure of the program
    """A message that cannot be served.

    Args:
        code: A key of ``ERRORS``, sent to the caller.
    """

    def __init__(self, code: str) -> None:
        super().__init__(ERRORS[code])
        self.code = code


class InvalidRoomError(ValueError):
    """The handshake names no room that could exist; it is refused with status 400."""


class UnknownSubprotocolError(ValueError):
    """The handshake offers subprotocols, and none of ``SUBPROTOCOLS``; it is refused with status 400."""


class Message(NamedTuple):
    """A ``sendmessage`` command.

    Attributes:
        data: Text that recipients receive, at most ``MAXIMUM_DATA_BYTES`` of UTF-8: a string's characters, or the JSON
            text of another value exactly as it came, from its first character to its last. Numbers of any size and
            precision, repeated keys, escapes and blanks within it stay unchanged.
        to: Connection id of the only recipient, or ``None`` for the whole room.
        id: The caller's id of the message, if it wants a receipt.
        room: Name of the room; empty in text mode, where a client is in one only.
        is_text: Whether the data is a string; else it is the JSON text of another value.
    """

    data: str
    to: str | None
    id: str | None
    room: str = ""
    is_text: bool = True


def room_of(query: Mapping[str, Sequence[str]], default: str = DEFAULT_ROOM) -> str:
    """The room that a handshake's query string asks for: ``?room=lobby``.

    Args:
        query: The query string.
        default: The room if it names none; empty for none.

    Raises:
        InvalidRoomError: ``room`` is given twice, or is not 1 to 64 of the characters ``A-Z a-z 0-9 . _ -``.
    """
    names = query.get("room", [default])
    if len(names) != 1 or not (names[0] == default or is_room(names[0])):
        raise InvalidRoomError("room must be given once, as 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    return names[0]


def subprotocol_of(offered: Sequence[str]) -> str | None:
    """The name to echo: the first known one in the client's order, or ``None`` if it offers nothing.

    Raises:
        UnknownSubprotocolError: It offers other names alone.
    """
    for name in offered:
        if name in SUBPROTOCOLS:
            return name
    if offered:
        raise UnknownSubprotocolError("none of the offered subprotocols is known")
    return None


def parse_message(body: str, maximum_bytes: int = MAXIMUM_DATA_BYTES) -> Message:
    """Read a ``sendmessage`` command.

    Args:
        body: The message of the client.
        maximum_bytes: Size limit of ``data`` in UTF-8, up to ``MAXIMUM_DATA_BYTES``.

    Raises:
        Refusal: ``not_json``, ``not_an_object``, ``missing_data``, ``not_unicode``, ``too_large``, ``invalid_id`` or
            ``unknown_recipient``.
    """
    command = parse_object(body)
    data, is_text = data_in(command, body, maximum_bytes)
    return Message(data, _recipient(command), _id(command), is_text=is_text)


def refuse_unroutable(body: str) -> Refusal:
    """Why no route of the API took a message: ``not_json``, ``not_an_object``, ``no_action`` or ``unknown_action``."""
    try:
        action = parse_object(body).get("action")
    except Refusal as refusal:
        return refusal
    return Refusal("unknown_action" if isinstance(action, str) and action else "no_action")


def error(code: str, request_id: str) -> str:
    """The answer to a message that cannot be served.

    Args:
        code: A key of ``ERRORS``.
        request_id: The id by which the caller's operators find the message in the logs.
    """
    return _dump({"error": {"code": code, "message": ERRORS[code], "requestId": request_id}})


def code_in_text_mode(code: str) -> str:
    """The name of an error in text mode, where a client has no room to join again."""
    return "not_joined" if code == "reconnect" else code


def receipt(message_id: str, delivered: int, gone: int, failed: int) -> str:
    """The answer to a message with an ``id``: how many recipients got it, had left, or could not be reached."""
    return _dump({"receipt": {"id": message_id, "delivered": delivered, "gone": gone, "failed": failed}})


def queued_receipt(message_id: str) -> str:
    """The answer to a message with an ``id`` that is safe in the queue: workers will deliver it."""
    return _dump({"receipt": {"id": message_id, "queued": True}})


PONG = '{"pong":{}}'
"""The answer to ``ping``."""


def whoami(connection_id: str, rooms: Sequence[str], identity: str) -> str:
    """The answer to ``whoami``: with ``rooms`` instead of ``room`` if there is not just one; ``identity`` if known."""
    where = {"room": rooms[0]} if len(rooms) == 1 else {"rooms": rooms}
    fields = {"connectionId": connection_id, **where}
    return _dump({"whoami": {**fields, "identity": identity} if identity else fields})


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _number(_text: str) -> object:
    """Replace a number: its value is not used, and may have more digits than Python converts."""
    return _NUMBER


def _whole(text: str) -> object:
    """A whole number that positions may have; others may have more digits than Python converts."""
    return int(text) if len(text) <= MAXIMUM_DIGITS else _NUMBER


_NUMBER = object()
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_number, parse_int=_whole)


def is_room(name: object) -> bool:
    """Whether a value may name a room."""
    return isinstance(name, str) and ROOM_NAME.fullmatch(name) is not None


def parse_object(body: str) -> dict[str, Any]:
    """Read the JSON object that a client has sent; numbers with a fraction, or many digits, are not kept.

    Raises:
        Refusal: ``not_json`` or ``not_an_object``.
    """
    try:
        value = _DECODER.decode(body)
    except (ValueError, RecursionError):
        raise Refusal("not_json") from None
    if not isinstance(value, dict):
        raise Refusal("not_an_object")
    return value


def data_in(command: Mapping[str, Any], body: str, maximum_bytes: int) -> tuple[str, bool]:
    """The data of a message, and whether it is a string.

    Args:
        command: The client's message.
        body: Its text.
        maximum_bytes: Size limit of the data in UTF-8.

    Raises:
        Refusal: ``missing_data``, ``not_unicode``, ``not_json`` for data that is nested too deep, or ``too_large``.
    """
    value = command.get("data", "")
    data = value if isinstance(value, str) else _text_of("data", body)
    if not data:
        raise Refusal("missing_data")
    if not _is_unicode(data) or (data is not value and "\\u" in _WHOLE_ESCAPES.sub("", data)):
        raise Refusal("not_unicode")
    if data is not value and _is_too_deep(data):
        raise Refusal("not_json")
    # Bytes, not characters: API Gateway counts the encoded message.
    if len(data.encode()) > maximum_bytes:
        raise Refusal("too_large")
    return data, data is value


def _text_of(name: str, body: str) -> str:
    """The text of a member of a JSON object; of several members with that name, the last one counts, as in parsers.

    Args:
        name: The member's name.
        body: JSON text of an object that has such a member.
    """
    text = ""
    try:
        # The body has been decoded before: it is an object, and its brackets are where they must be.
        position = _skip_blanks(body, _skip_blanks(body, 0) + 1)
        while body[position] != "}":
            key, position = _DECODER.raw_decode(body, position)
            start = _skip_blanks(body, _skip_blanks(body, position) + 1)
            _, end = _DECODER.raw_decode(body, start)
            if key == name:
                text = body[start:end]
            position = _skip_blanks(body, end)
            if body[position] == ",":
                position = _skip_blanks(body, position + 1)
    except RecursionError:
        raise Refusal("not_json") from None
    return text


def _is_too_deep(text: str) -> bool:
    depth = 0
    if text.count("[") + text.count("{") > MAXIMUM_DEPTH:
        for found in _STRINGS_AND_BRACKETS.finditer(text):
            mark = text[found.start()]
            depth += (mark in "[{") - (mark in "]}")
            if depth > MAXIMUM_DEPTH:
                return True
    return False


def _skip_blanks(text: str, position: int) -> int:
    blanks = _BLANKS.match(text, position)
    assert blanks is not None
    return blanks.end()


def _recipient(command: Mapping[str, Any]) -> str | None:
    if "to" not in command:
        return None
    to = command["to"]
    if not isinstance(to, str) or not CONNECTION_ID.fullmatch(to):
        raise Refusal("unknown_recipient")
    return to


def _id(command: Mapping[str, Any]) -> str | None:
    if "id" not in command:
        return None
    message_id = command["id"]
    if not isinstance(message_id, str) or not 1 <= len(message_id) <= MAXIMUM_ID_CHARACTERS:
        raise Refusal("invalid_id")
    if not _is_unicode(message_id):
        raise Refusal("invalid_id")
    return message_id


def _is_unicode(text: str) -> bool:
    """JSON can spell half of a surrogate pair, which UTF-8 cannot carry."""
    return not SURROGATE.search(text)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
