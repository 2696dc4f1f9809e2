"""Errors of a client. Three of them are also the states in which a client ends: its calls then raise that state."""

from __future__ import annotations


class RoomcastError(Exception):
    """Base of all errors of this package.

    Attributes:
        code: Code of the server, or of the client in lower case.
        room: Room that it is about.
        id: Id of the message that it is about.
        request_id: Id by which operators of the stage find the answer in their logs.
        retryable: Whether the same call may succeed later.
        sentence: Text of an error that is given none; no docstring, which ``python -OO`` leaves out.
    """

    code = "error"
    retryable = False
    sentence = "An error of the stage or of this client."

    def __init__(self, text: str = "", *, code: str = "", room: str | None = None, id: str | None = None) -> None:  # noqa: A002 - the protocol's name
        super().__init__(text or self.sentence)
        self.code = code or self.code
        self.room, self.id = room, id
        self.request_id: str | None = None


class TooLarge(RoomcastError):  # noqa: N818 - named alike in every language's client
    """A message is larger than the stage accepts."""

    code = "too_large"
    sentence = "The whole frame of the message is larger than the stage accepts; send less."


class QueueFull(RoomcastError):  # noqa: N818 - named alike in every language's client
    """Too many messages are on their way without proof."""

    code, retryable = "queue_full", True
    sentence = "100 messages or 1 MB are on their way without proof; wait for some of them."


class OutcomeUnknown(RoomcastError):  # noqa: N818 - named alike in every language's client
    """No proof of a message came in time."""

    code = "outcome_unknown"
    sentence = "No proof came within 8 minutes: the message may have been stored, or not."


class NotAllowed(RoomcastError):  # noqa: N818 - named alike in every language's client
    """The stage refuses a call for lack of a right."""

    code = "not_allowed"
    sentence = "The token has no such right in that room, or this client is not in it."


class Closed(RoomcastError):  # noqa: N818 - named alike in every language's client
    """The application closed the client."""

    code = name = "closed"
    sentence = "The client was closed by its application."


class Refused(RoomcastError):  # noqa: N818 - named alike in every language's client
    """The stage or the token function refuses this client.

    Attributes:
        status: HTTP status of the handshake; None if the token function refused.
        reason: ``unauthorized``, or ``invalid_token`` for a token that no subprotocol can hold.
    """

    code = name = "refused"

    def __init__(self, text: str = "", *, status: int | None = None, reason: str = "unauthorized") -> None:
        super().__init__(text or f"refused: {reason}{f', status {status}' if status else ''}")
        self.status, self.reason = status, reason


class Unauthorized(Refused):
    """For a token function to raise when nobody is signed in: the client ends as refused."""


class Kicked(RoomcastError):  # noqa: N818 - named alike in every language's client
    """The stage removed this client.

    Attributes:
        reason: Why, if the stage says so.
        until: End of the removal, in milliseconds since 1970.
    """

    code = name = "kicked"

    def __init__(self, reason: str | None = None, until: int | None = None) -> None:
        super().__init__(f"removed{f': {reason}' if reason else ''}")
        self.reason, self.until = reason, until
