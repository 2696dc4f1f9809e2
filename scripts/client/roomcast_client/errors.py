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
    """

    code = "error"
    retryable = False

    def __init__(self, text: str = "", *, code: str = "", room: str | None = None, id: str | None = None) -> None:  # noqa: A002 - the protocol's name
        super().__init__(text or type(self).__doc__)
        self.code = code or self.code
        self.room, self.id = room, id
        self.request_id: str | None = None


class TooLarge(RoomcastError):  # noqa: N818 - named alike in every language's client
    """The whole frame of the message is larger than the stage accepts; send less."""

    code = "too_large"


class QueueFull(RoomcastError):  # noqa: N818 - named alike in every language's client
    """100 messages or 1 MB are on their way without proof; wait for some of them."""

    code, retryable = "queue_full", True


class OutcomeUnknown(RoomcastError):  # noqa: N818 - named alike in every language's client
    """No proof came within 8 minutes: the message may have been stored, or not."""

    code = "outcome_unknown"


class NotAllowed(RoomcastError):  # noqa: N818 - named alike in every language's client
    """The token has no such right in that room, or this client is not in it."""

    code = "not_allowed"


class Closed(RoomcastError):  # noqa: N818 - named alike in every language's client
    """The client was closed by its application."""

    code = name = "closed"


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
