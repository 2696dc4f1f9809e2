"""Miniature stages of ``roomcast.v1`` whose rooms keep their messages, one for each way to be wrong.

``Remembering`` breaks no rule: it numbers and keeps the messages of each room, answers ``join`` with ``since`` by what
came after that position, stores a message once however often it is sent under its id, and delivers what others send.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from websockets.typing import Subprotocol

from integration_tests.harness.ledger import Counts
from integration_tests.load.tests.miniatures import Healthy, MuteUntilTheStorm, Session, error_of, token_of
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EPOCH = "k3f9x2ab"


@dataclass
class Log:
    """What a room keeps.

    Attributes:
        messages: Frames in the order of their numbers.
        ids: The frame that is stored under an id.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    ids: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Remembering(Healthy):
    """A correct stage of ``roomcast.v1``; the others override a step of it."""

    name: ClassVar[str] = "remembering"
    subprotocols: ClassVar[list[Subprotocol] | None] = [Subprotocol("roomcast.v1")]
    logs: defaultdict[str, Log] = field(default_factory=lambda: defaultdict(Log))

    def room_of(self, asked: str) -> str:
        """Put no client into a room by the handshake."""
        return f"none, not {asked}"

    async def take(self, session: Session, message: dict[str, Any]) -> None:
        """Route one frame by its action."""
        match message.get("action"):
            case "join":
                rooms = message.get("rooms") or {message["room"]: message}
                for room, wish in rooms.items():
                    await self.join(session, room, wish, message.get("id"))
            case "sendmessage":
                await self.say(session, message)
            case "ping":
                await self.tell(
                    session, {"type": "pong", "rooms": {room: self.head(room) for room in message["rooms"]}}
                )
            case action:
                error = error_of("unknown_action", f"there is no action {action!r}")
                await self.tell(session, {"type": "error", "id": message.get("id"), **error})

    def head(self, room: str) -> dict[str, Any]:
        """Return the position of the last message that a room has kept."""
        return {"epoch": EPOCH, "seq": len(self.logs[room].messages)}

    async def join(self, session: Session, room: str, wish: dict[str, Any], number: str | None) -> None:
        """Let a client into a room, and send what it has missed."""
        self.rooms[session.room].pop(session, None)
        session.room = room
        self.rooms[room][session] = None
        since = wish.get("since")
        head = self.head(room)
        answer = {"type": "joined", "id": number, "room": room, **head, "head": head["seq"]}
        if since is not None:
            answer |= self.answer_to(since, head)
            if answer["recovered"]:
                await self.replay(session, room, self.missed(room, since["seq"]))
        await self.tell(session, answer)

    def answer_to(self, since: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:
        """Return whether everything after a position is there."""
        return {"recovered": since["epoch"] == EPOCH and since["seq"] <= head["seq"]}

    def missed(self, room: str, seq: int) -> Sequence[dict[str, Any]]:
        """Return the messages after a number."""
        return self.logs[room].messages[seq:]

    async def replay(self, session: Session, room: str, messages: Sequence[dict[str, Any]]) -> None:
        """Send messages that were kept, in one frame."""
        if messages:
            slots = [{name: frame[name] for name in ("seq", "id", "from", "at", "data")} for frame in messages]
            await self.tell(session, {"type": "messages", "room": room, "epoch": EPOCH, "messages": slots})

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Store a message, deliver it, and send the receipt; answer further copies without storing them."""
        room, message_id = message["room"], message["id"]
        stored = self.stored(room, message_id)
        if stored is not None:
            await self.tell(session, {**self.receipt_of(stored), "duplicate": True})
            return
        frame = self.store(session, message)
        members = [*self.rooms[room]]
        for member in members:
            await self.tell(member, frame)
        await self.tell(session, {**self.receipt_of(frame), "delivered": len(members), "gone": 0, "failed": 0})

    def stored(self, room: str, message_id: str) -> dict[str, Any] | None:
        """Return the message that is stored under an id."""
        return self.logs[room].ids.get(message_id)

    def store(self, session: Session, message: dict[str, Any]) -> dict[str, Any]:
        """Number a message and keep it."""
        log = self.logs[message["room"]]
        frame = {
            "type": "message",
            "room": message["room"],
            "epoch": EPOCH,
            "seq": len(log.messages) + 1,
            "id": message["id"],
            "from": session.connection_id,
            "at": round(time.time() * 1_000),
            "data": message["data"],
        }
        log.messages.append(frame)
        log.ids[message["id"]] = frame
        return frame

    def receipt_of(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Return the receipt of a message, without counts."""
        return {"type": "receipt", **{name: frame[name] for name in ("id", "room", "epoch", "seq")}}


class FarNumbers(Remembering):
    """Numbers the messages of each room from a large number on, as the protocol allows."""

    name = "far-numbers"
    first = 2**45

    def head(self, room: str) -> dict[str, Any]:
        """Count from there."""
        return {"epoch": EPOCH, "seq": self.first + len(self.logs[room].messages)}

    def missed(self, room: str, seq: int) -> Sequence[dict[str, Any]]:
        """Count from there."""
        return super().missed(room, seq - self.first)

    def store(self, session: Session, message: dict[str, Any]) -> dict[str, Any]:
        """Count from there."""
        frame = super().store(session, message)
        frame["seq"] += self.first
        return frame


class Attended(Remembering):
    """Tells its clients who is in their rooms, as the protocol allows."""

    name = "attended"

    async def take(self, session: Session, message: dict[str, Any]) -> None:
        """Answer ``who``, too."""
        if message.get("action") != "who":
            await super().take(session, message)
            return
        names = [member.connection_id for member in self.rooms[session.room]]
        about = {"id": message["id"], "room": session.room, "version": 1}
        await self.tell(session, {"type": "members", **about, "members": names, "count": len(names)})

    async def join(self, session: Session, room: str, wish: dict[str, Any], number: str | None) -> None:
        """Say to all who comes."""
        await super().join(session, room, wish, number)
        for member in [*self.rooms[room]]:
            come = {"joined": [session.connection_id], "left": [], "count": len(self.rooms[room])}
            await self.tell(member, {"type": "presence", "room": room, "version": 1, **come})

    async def tell(self, session: Session, answer: dict[str, Any]) -> None:
        """Name the version, so that clients ask for the others."""
        await super().tell(session, {**answer, "presence": 1} if answer["type"] == "joined" else answer)


class Forgetful(Remembering):
    """Says that everything was recovered, and replays nothing."""

    name = "forgetful"

    def missed(self, room: str, seq: int) -> Sequence[dict[str, Any]]:  # noqa: ARG002 - it forgets
        """Return nothing."""
        return []


class ForgetsOne(Remembering):
    """Says that everything was recovered, and replays all but the first message."""

    name = "forgets-one"

    def missed(self, room: str, seq: int) -> Sequence[dict[str, Any]]:
        """Leave one out."""
        return super().missed(room, seq)[1:]


class ReplaysTwice(Remembering):
    """Replays each message twice in the answer to one join."""

    name = "replays-twice"

    async def replay(self, session: Session, room: str, messages: Sequence[dict[str, Any]]) -> None:
        """Replay again."""
        await super().replay(session, room, messages)
        await super().replay(session, room, messages)


class PostsTwice(Remembering):
    """Posts every seventh message twice under its number."""

    name = "posts-twice"

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Post again, to a member that has it."""
        is_new = self.stored(message["room"], message["id"]) is None
        await super().say(session, message)
        frame = self.stored(message["room"], message["id"])
        if is_new and frame is not None and frame["seq"] % 7 == 0:
            await self.tell(session, frame)


class SwallowsUntilTheStorm(MuteUntilTheStorm, Remembering):
    """Swallows every message until a client has left; its sender sends it again when it is back."""

    name = "swallows-until-the-storm"


class Pessimist(Remembering):
    """Has everything, and says that it cannot tell."""

    name = "pessimist"

    def answer_to(self, since: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Recover nothing."""
        return {"recovered": False, "reason": "too_old"}


class KeepsNothing(Remembering):
    """Numbers and keeps no message, as rooms without history."""

    name = "keeps-nothing"

    async def tell(self, session: Session, answer: dict[str, Any]) -> None:
        """Leave the numbers out; a message has an id of the stage's own instead."""
        bare = {name: value for name, value in answer.items() if name not in {"epoch", "seq", "head", "recovered"}}
        await super().tell(session, {**bare, "mid": answer["id"]} if answer["type"] == "message" else bare)


class PostsHalf(Remembering):
    """Stores each message, posts those with odd numbers to no member, and says in the receipt that all have it."""

    name = "posts-half"

    async def tell(self, session: Session, answer: dict[str, Any]) -> None:
        """Leave the odd ones out: clients find the gap, and ask for them."""
        if answer["type"] != "message" or answer["seq"] % 2 == 0:
            await super().tell(session, answer)


class PostsLate(Remembering):
    """Posts messages with odd numbers some seconds after their receipts: most clients have asked for them before."""

    name = "posts-late"

    async def tell(self, session: Session, answer: dict[str, Any]) -> None:
        """Send some later."""
        if answer["type"] == "message" and answer["seq"] % 2:
            self.later(lambda: super(PostsLate, self).tell(session, answer), after=scaled(3.0))
        else:
            await super().tell(session, answer)


class StoresTwice(Remembering):
    """Stores a message that is sent again once more, and calls it a duplicate."""

    name = "stores-twice"

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Store each copy, and deliver it."""
        stored = self.stored(message["room"], message["id"])
        if stored is None:
            await super().say(session, message)
            return
        frame = self.store(session, message)
        for member in [*self.rooms[message["room"]]]:
            await self.tell(member, frame)
        await self.tell(session, {**self.receipt_of(frame), "duplicate": True})


class AnswersTwice(Remembering):
    """Stores a message once, and sends the receipt of the first copy for each."""

    name = "answers-twice"

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Say nothing of a duplicate."""
        stored = self.stored(message["room"], message["id"])
        if stored is None:
            await super().say(session, message)
            return
        members = len(self.rooms[message["room"]])
        await self.tell(session, {**self.receipt_of(stored), "delivered": members, "gone": 0, "failed": 0})


class ClaimsDuplicates(Remembering):
    """Calls each message a duplicate, in place of the counts."""

    name = "claims-duplicates"

    def receipt_of(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Say that it was there before."""
        return {**super().receipt_of(frame), "duplicate": True}

    async def tell(self, session: Session, answer: dict[str, Any]) -> None:
        """Leave the counts out."""
        await super().tell(session, {name: each for name, each in answer.items() if name not in Counts._fields})


class FurtherReceipts(Remembering):
    """Sends two more receipts of each message, as if it had been sent three times."""

    name = "further-receipts"

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Serve, and answer again."""
        await super().say(session, message)
        for claim in ("duplicate", "sending"):
            receipt = self.receipt_of(self.logs[message["room"]].ids[message["id"]])
            await self.tell(session, {**receipt, claim: True})


class IgnoresCopies(Remembering):
    """Stores a message once, and does not answer further copies."""

    name = "ignores-copies"

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Answer the first copy only."""
        if self.stored(message["room"], message["id"]) is None:
            await super().say(session, message)


class ErrorBesidesReceipt(Remembering):
    """Sends an error for each message that already has its receipt."""

    name = "error-besides-receipt"

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Serve, and send an error too."""
        await super().say(session, message)
        about = {"id": message["id"], "room": message["room"]}
        await self.tell(session, {"type": "error", **about, **error_of("unavailable", "it could not be served")})


class GatewayErrorBesides(Remembering):
    """Sends API Gateway's own error before each receipt."""

    name = "internal-server-error-besides"

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Send the error, and serve."""
        frame = {"connectionId": session.connection_id, "requestId": "miniature"}
        await self.tell(session, {"message": "Internal server error", **frame})
        await super().say(session, message)


class JoinsElsewhere(Remembering):
    """Tells the sender of each message that it has joined another room."""

    name = "joins-elsewhere"
    further: ClassVar[dict[str, Any]] = {"type": "joined", "room": "another", "epoch": EPOCH, "seq": 7}

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Serve, and send a further frame."""
        await super().say(session, message)
        await self.tell(session, self.further)


class JoinsAgain(JoinsElsewhere):
    """Tells the sender of each message that it has joined its room, though it has not asked."""

    name = "joins-again"

    async def tell(self, session: Session, answer: dict[str, Any]) -> None:
        """Name its room."""
        await super().tell(session, {**answer, "room": session.room} if answer is self.further else answer)


class PresenceElsewhere(JoinsElsewhere):
    """Tells the sender of each message who comes to another room."""

    name = "presence-elsewhere"
    further: ClassVar[dict[str, Any]] = {"type": "presence", "room": "another", "count": 1, "joined": ["mallory"]}


class MembersUnasked(JoinsElsewhere):
    """Tells the sender of each message who is in a room, though it has not asked."""

    name = "members-unasked"
    further: ClassVar[dict[str, Any]] = {"type": "members", "id": "7", "members": ["mallory"], "count": 1}


class PongsElsewhere(JoinsElsewhere):
    """Tells the sender of each message the position of another room."""

    name = "pongs-elsewhere"
    further: ClassVar[dict[str, Any]] = {"type": "pong", "rooms": {"another": {"epoch": EPOCH, "seq": 7}}}


class Misnumbers(Remembering):
    """Names in each receipt the number after that of the message."""

    name = "misnumbers"

    def receipt_of(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Count one too many."""
        receipt = super().receipt_of(frame)
        return {**receipt, "seq": receipt["seq"] + 1}


class WrongEnvelope(Remembering):
    """Delivers each message under another id than its sender gave it."""

    name = "wrong-envelope"

    async def tell(self, session: Session, answer: dict[str, Any]) -> None:
        """Change the id."""
        changed = {"id": f"another-{answer['id']}"} if answer["type"] == "message" else {}
        await super().tell(session, {**answer, **changed})


class OneName(Remembering):
    """Gives all messages the same sender."""

    name = "one-name"

    def store(self, session: Session, message: dict[str, Any]) -> dict[str, Any]:
        """Change the name."""
        frame = super().store(session, message)
        frame["from"] = "mallory"
        return frame


class BorrowsNames(Remembering):
    """Gives every seventh message of a room the sender of the message before."""

    name = "borrows-names"

    def store(self, session: Session, message: dict[str, Any]) -> dict[str, Any]:
        """Change the name, sometimes."""
        frame = super().store(session, message)
        if frame["seq"] % 7 == 0:
            frame["from"] = self.logs[message["room"]].messages[-2]["from"]
        return frame


class BareTexts(Remembering):
    """Sends every member the bare text of each message too, as to a client of text mode."""

    name = "bare-texts"

    async def tell(self, session: Session, answer: dict[str, Any]) -> None:
        """Send it without its envelope as well."""
        await super().tell(session, answer)
        if answer["type"] == "message":
            await self.write(session, answer["data"])


class OwnNumbers(Remembering):
    """Counts the messages of a room for each member from another number on."""

    name = "own-numbers"
    apart: int = 1_000

    async def tell(self, session: Session, answer: dict[str, Any]) -> None:
        """Move all numbers up, by as many as the member has come after others."""
        first = self.apart * int(session.connection_id.rstrip("="))
        moved: dict[str, Any] = {name: answer[name] + first for name in ("seq", "head") if name in answer}
        await super().tell(session, {**answer, **moved})


class SharedNumbers(Remembering):
    """Gives two messages of a room each number: clients drop the second one."""

    name = "shared-numbers"

    def head(self, room: str) -> dict[str, Any]:
        """Count so."""
        return {"epoch": EPOCH, "seq": (len(self.logs[room].messages) + 1) // 2}

    def store(self, session: Session, message: dict[str, Any]) -> dict[str, Any]:
        """Count so."""
        frame = super().store(session, message)
        frame["seq"] = self.head(message["room"])["seq"]
        return frame


class DirectWithoutRoom(Remembering):
    """Sends the sender a direct message behind each of its own, as a backend may: such a message names no room."""

    name = "direct-without-room"

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Send it once the message has its receipt."""
        await super().say(session, message)
        direct = {"mid": "1", "from": "backend", "at": 1, "data": "hello", "direct": True, "backend": True}
        await self.tell(session, {"type": "message", **direct})


class EchoesTokenOfV1(Remembering):
    """Sends clients the token of their handshake, in every place where a stage's text may stand."""

    name = "echoes-token-of-v1"

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Serve, and repeat the token."""
        token = token_of(session)
        await super().say(session, message)
        await self.tell(session, {"type": "receipt", "id": token, "room": token})
        await self.tell(session, {"type": "error", "id": token, **error_of(token, token)})
        await self.write(session, f"{token}, you came with {token}")

    async def tell(self, session: Session, answer: dict[str, Any]) -> None:
        """Give each message the token for an id."""
        changed = {"id": token_of(session)} if answer["type"] == "message" else {}
        await super().tell(session, {**answer, **changed})


class Backwards(Remembering):
    """Gives each message of a room but the first the number of the one before, which it moves up."""

    name = "backwards"

    def store(self, session: Session, message: dict[str, Any]) -> dict[str, Any]:
        """Hold odd numbers back: the next message takes them."""
        frame = super().store(session, message)
        messages = self.logs[message["room"]].messages
        pair = frame["seq"] + 1 if frame["seq"] % 2 else frame["seq"] - 1
        frame["seq"] = pair
        messages.sort(key=lambda each: int(each["seq"]))
        return frame

    def head(self, room: str) -> dict[str, Any]:
        """Return the number up to which all are there."""
        return {"epoch": EPOCH, "seq": len(self.logs[room].messages) // 2 * 2}


class ClosesEarly(Remembering):
    """Closes the oldest socket, once, when a client has opened a second one that has not joined yet."""

    name = "closes-early"
    _has_closed: bool = False

    async def welcome(self, session: Session) -> None:
        """Close a socket, once messages have been sent, that is after all clients have come."""
        members = [member for members in self.rooms.values() for member in members if member is not session]
        if self.logs and not self._has_closed:
            self._has_closed = True
            await min(members, key=lambda member: member.connection_id).connection.close()


class KicksInTheEnd(Remembering):
    """Throws every client out once it has served some messages."""

    name = "kicks-in-the-end"
    messages: int = 30

    async def say(self, session: Session, message: dict[str, Any]) -> None:
        """Serve, and act when that was the last message."""
        await super().say(session, message)
        self.messages -= 1
        if not self.messages:
            for room, members in [*self.rooms.items()]:
                for member in [*members]:
                    await self.throw_out(member, room)

    async def throw_out(self, member: Session, room: str) -> None:
        """Throw a client out, as a backend's kick does."""
        self.rooms[room].pop(member, None)
        await self.tell(member, {"type": "kicked", "reason": "enough"})


class TakesOutInTheEnd(KicksInTheEnd):
    """Takes every client out of its room once it has served some messages, and leaves the connection open."""

    name = "takes-out-in-the-end"

    async def throw_out(self, member: Session, room: str) -> None:
        """Say that the client has left, which it has not asked for."""
        self.rooms[room].pop(member, None)
        await self.tell(member, {"type": "left", "room": room, "reason": "enough"})


class RefusesSomeJoins(Remembering):
    """Lets the first clients into their rooms, and no other."""

    name = "refuses-some-joins"
    welcomed: int = 8

    async def join(self, session: Session, room: str, wish: dict[str, Any], number: str | None) -> None:
        """Refuse, as a stage whose room is full."""
        if self.welcomed:
            self.welcomed -= 1
            await super().join(session, room, wish, number)
        else:
            about = {"id": number, "room": room}
            await self.tell(session, {"type": "error", **about, **error_of("room_full", "the room is full")})


class DeafHeirs(Remembering):
    """Answers a client that joins with a position, and delivers nothing to it from then on."""

    name = "deaf-heirs"

    async def join(self, session: Session, room: str, wish: dict[str, Any], number: str | None) -> None:
        """Forget the member."""
        await super().join(session, room, wish, number)
        if "since" in wish:
            self.rooms[room].pop(session, None)


def _all(kind: type[Remembering]) -> Iterator[type[Remembering]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _all(each)


REMEMBERING: dict[str, type[Remembering]] = {kind.name: kind for kind in _all(Remembering)}
"""Every one of these stages by its name."""
