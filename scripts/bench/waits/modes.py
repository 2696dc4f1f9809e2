"""Modes of sending: the sender's protocol, whether its room keeps messages, and whether the message has an id."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from scripts.bench.table import ROOM, V1_ROOM, member_id
from scripts.bench.waits.figures import NothingMeasuredError


class Mode(NamedTuple):
    """One mode.

    Attributes:
        name: Its name in the table.
        room: The room, whose members all have one protocol.
        keeps: Whether it keeps messages.
        has_id: Whether the sender gives messages ids, and so has receipts.
    """

    name: str
    room: str = ROOM
    keeps: bool = False
    has_id: bool = True

    @property
    def environment(self) -> dict[str, str]:
        """Variables of functions in this mode."""
        if not self.keeps:
            return {}
        return {"ROOMCAST_HISTORY_ROOMS": json.dumps([self.room]), "ROOMCAST_HISTORY_TABLE_NAME": "history"}

    def event(self, text: str) -> dict[str, Any]:
        """Return an event of the route ``sendmessage``.

        Args:
            text: The message, and its id, so at least 16 characters.
        """
        body = {"action": "sendmessage", "data": text}
        if self.room != ROOM:
            body["room"] = self.room
        if self.has_id:
            body["id"] = text
        return {
            "requestContext": {
                "eventType": "MESSAGE",
                "routeKey": "sendmessage",
                "connectionId": member_id(0, self.room),
                "connectedAt": 0,
                "requestId": text,
            },
            "body": json.dumps(body),
        }

    def text_of(self, post: str) -> str:
        """Return the message that a post holds; a receipt or an error as it is.

        Raises:
            NothingMeasuredError: The message was kept in a room that shall keep none, or the other way round.
        """
        if self.room == ROOM:
            return post
        frame = json.loads(post)
        if frame["type"] != "message":
            return post
        if ("seq" in frame) != self.keeps:
            raise NothingMeasuredError("a message has no number" if self.keeps else "a message has a number")
        text: str = frame["data"]
        return text


TEXT = Mode("text")
MODES = (
    TEXT,
    Mode("v1", V1_ROOM),
    Mode("v1, kept", V1_ROOM, keeps=True, has_id=False),
    Mode("v1, kept, with id", V1_ROOM, keeps=True),
)
"""Those that are compared."""
