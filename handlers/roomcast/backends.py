"""Requests of backends, which invoke functions without a route, and the errors that they are answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import frames, protocol

if TYPE_CHECKING:
    from typing import TypeGuard

MESSAGES = {
    **protocol.ERRORS,
    "invalid_connection": "connection is not a connection id; take it from whoami, or from a message",
    "invalid_from": "from is not 1 to 160 printable characters; choose another",
    "invalid_id": "id is not 1 to 64 printable characters; choose another",
    "invalid_reason": "reason is not 1 to 200 printable characters; choose another",
    "invalid_request": "the input is not an object of the documented form; see the page of the wire protocol",
    "invalid_until": "until is no whole number of milliseconds since 1970; name one, or leave it out",
    "invalid_user": "user is not 1 to 160 printable characters; name a client as authorizer or IAM name it",
    "missing_data": "the message needs data; give any JSON value but an empty string",
    "no_identities": "clients have no names without authorization_type; name a connection",
    "room_required": "the message must have one of room, user and position; name one",
    "too_many_messages": "the input has more than 100 messages; publish the others with another invocation",
    "unavailable": "the service could not serve the request; send it again, a message under the same id",
}
"""Messages of errors by their codes: those of clients, and those of backends alone. None repeats input."""


class BackendRefusal(protocol.Refusal):
    """A request that cannot be served.

    Args:
        code: A key of ``MESSAGES``.
    """

    def __init__(self, code: str) -> None:
        # Some codes are for backends alone.
        Exception.__init__(self, MESSAGES[code])
        self.code = code


def error(code: str) -> dict[str, Any]:
    """The answer to a request that was not served.

    Args:
        code: A key of ``MESSAGES``.
    """
    return {"error": {"code": code, "message": MESSAGES[code]}}


def is_name(value: object, maximum: int = frames.MAXIMUM_NAME_CHARACTERS) -> TypeGuard[str]:
    """Whether a value is a text of printable characters, as names are, and not longer than ``maximum``."""
    return isinstance(value, str) and 1 <= len(value) <= maximum and value.isprintable()
