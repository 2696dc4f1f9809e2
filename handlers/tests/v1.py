"""Clients of ``roomcast.v1`` over the fakes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.fakes import FakeConnections, FakeContext, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable

    Frame = dict[str, Any]

ID = "9f86d081884c7d65"
"""An id that a message may have."""


def context(subject: str) -> dict[str, str]:
    """An authorizer's context, for a client that may join, send and read in all rooms."""
    rights = json.dumps({"*": ["join", "send", "history"]})
    return {"principalId": subject, "rooms": rights, "exp": str(int(time.time()) + 3600)}


class Clients:
    """Clients of both protocols, and the functions that serve them.

    Args:
        load: Loads a function.
        connections: Records posts.

    Attributes:
        authorizer: Context of the clients' tokens; ``None`` for none.
    """

    def __init__(self, load: Callable[[str], Any], connections: FakeConnections) -> None:
        self.load = load
        self.connections = connections
        self.authorizer: object = None

    def connect(self, name: str, *rooms: str, offers: str = "roomcast.v1") -> dict[str, Any]:
        """Make a handshake; gives the answer."""
        raw = handshake(name, *rooms)
        raw["multiValueHeaders"] = {"Sec-WebSocket-Protocol": [offers]} if offers else {}
        answer: dict[str, Any] = self.load("connect").handler(self._of(raw), FakeContext())
        return answer

    def join(self, name: str, *rooms: str) -> None:
        """Connect a client, and let it join rooms."""
        assert self.connect(name)["statusCode"] == 200
        answers = self.ask(name, "join", rooms={room: {} for room in rooms})
        assert [answer["type"] for answer in answers] == ["joined"] * len(rooms)

    def send(self, name: str, action: str, **fields: object) -> list[tuple[str, str]]:
        """Send a frame; gives all posts that it caused."""
        self.connections.posts.clear()
        raw = self._of(message(name, {"action": action, **fields}, action))
        assert self.load(action).handler(raw, FakeContext()) == {"statusCode": 200}
        return [*self.connections.posts]

    def ask(self, name: str, action: str, **fields: object) -> list[Frame]:
        """Send a frame; gives the frames that the client itself received."""
        return [json.loads(text) for to, text in self.send(name, action, **fields) if to == name]

    def frames(self, name: str) -> list[Frame]:
        """Frames that the last action brought to a client."""
        return [json.loads(text) for text in self.connections.received(name)]

    def _of(self, raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "requestContext": {**raw["requestContext"], "authorizer": self.authorizer}}


def code(frames: list[Frame]) -> str:
    """The code of the only answer, which is an error in the form of this protocol."""
    [frame] = frames
    assert frame["type"] == "error"
    assert frame["requestId"] == "request-1"
    return str(frame["code"])
