"""One seat of a load run: a client that talks, listens, leaves and comes back, with everything noted in the ledger."""

from __future__ import annotations

import asyncio
import enum
import errno
import json
import math
import time
from typing import TYPE_CHECKING, NamedTuple

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from integration_tests.harness.client import Client, Message

if TYPE_CHECKING:
    from integration_tests.harness.ledger import Member, Sender
    from integration_tests.load.crew import Notes

RECEIPT_REPEATED = "a receipt came twice"
CONNECT_ERRORS = (OSError, InvalidHandshake, ConnectionClosed, EOFError)


class Farewell(enum.Enum):
    """How a client goes."""

    CLOSE = "closed"
    ABORT = "aborted"


class Pending(NamedTuple):
    """A message without an answer: its number, and what waits for the answer."""

    sequence: int
    answer: asyncio.Future[str | None]


class Participant:
    """Whoever holds one seat; a new connection after a lost one is the same sender and a new member.

    Args:
        notes: Where everything is noted.
        room: The room that the seat is in.
        name: Name of the seat, unique in the run.
    """

    __slots__ = ("_client", "_member", "_notes", "_sender", "_unanswered", "name", "room")

    def __init__(self, notes: Notes, room: str, name: str) -> None:
        self.room = room
        self.name = name
        self._notes = notes
        self._client: Client | None = None
        self._member: Member | None = None
        self._sender: Sender | None = None
        self._unanswered: dict[str, Pending] = {}

    @property
    def present(self) -> bool:
        """Whether the client is connected."""
        return self._client is not None and self._client.is_open

    @property
    def unanswered(self) -> int:
        """How many messages on this connection have had no answer yet."""
        return len(self._unanswered)

    async def join(self, url: str, due: float) -> str | None:
        """Connect; a refusal is noted, not raised.

        Args:
            url: The stage's WebSocket URL.
            due: When the handshake was meant to begin, monotonic seconds; its time counts from here.

        Returns:
            Why it was refused, if it was.
        """
        connects = self._notes.connects
        connects.attempted += 1
        self._member = member = self._notes.ledger.member(self.room, self.name)
        try:
            self._client = await Client.connect(url, self.room, on_message=self._take)
        except CONNECT_ERRORS as error:
            reason = reason_of(error)
            connects.refused[reason] = connects.refused.get(reason, 0) + 1
            self._notes.first(f"handshake refused: {reason}")
            return reason
        member.joined_at = self._client.connected_at
        connects.succeeded += 1
        connects.times.record(member.joined_at - due)
        return None

    async def say(self, due: float, size: int) -> asyncio.Future[str | None]:
        """Send one message to the room and ask for a receipt.

        Args:
            due: When the schedule wanted it sent, monotonic seconds.
            size: Characters of its text; a text is never shorter than what the ledger needs.

        Returns:
            None once the receipt has come, or why it has not, or why not everybody was reached.
        """
        assert self._client is not None
        if self._sender is None:
            self._sender = self._notes.ledger.sender(self.room, self.name)
        sequence, text = self._sender.attempt(due, time.monotonic())
        message_id = str(sequence)
        pending = Pending(sequence, asyncio.get_running_loop().create_future())
        self._unanswered[message_id] = pending
        try:
            await self._client.say(text.ljust(size, "."), id=message_id)
        except ConnectionClosed:
            self._notes.first("connection lost while sending")
        return pending.answer

    async def leave(self, farewell: Farewell) -> None:
        """Go, if connected."""
        client, member = self._client, self._member
        if client is None or member is None:
            return
        self.notice_end()
        member.leaving_at = time.monotonic()
        await (client.close() if farewell is Farewell.CLOSE else client.abort())
        member.left_at = min(member.left_at, client.ended_at)
        self._give_up()

    def notice_end(self) -> bool:
        """Note it if the connection ended although nobody closed it; return whether it did."""
        client, member = self._client, self._member
        if client is None or member is None or client.ended_at == math.inf:
            return False
        member.left_at = client.ended_at
        self._notes.first(f"connection ended by the other side, close code {client.connection.close_code}")
        self._give_up()
        return True

    def _give_up(self) -> None:
        """Drop the connection that is no more, and with it the hope for answers."""
        self._client = None
        for pending in self._unanswered.values():
            pending.answer.set_result("connection lost")
        self._unanswered.clear()

    def _take(self, message: Message) -> None:
        self._notes.received(message.received_at)
        if not (message.text.startswith("{") and self._take_answer(message)):
            assert self._member is not None
            self._notes.ledger.receive(self._member, message.text, message.received_at)

    def _take_answer(self, message: Message) -> bool:
        """Note a receipt or an error; return whether it was one."""
        try:
            answer = json.loads(message.text)
        except ValueError:
            return False
        if receipt := answer.get("receipt"):
            return self._take_receipt(receipt, message.received_at)
        if (problem := problem_of(answer)) is None:
            return False
        self._notes.first(f"answer: {problem}")
        if self._sender is not None and len(self._unanswered) == 1:  # an error does not say which message it answers
            _, pending = self._unanswered.popitem()
            self._sender.fail(pending.sequence)
            pending.answer.set_result(problem)
        return True

    def _take_receipt(self, receipt: dict[str, object], at: float) -> bool:
        message_id = str(receipt.get("id"))
        pending = self._unanswered.pop(message_id, None)
        if self._sender is None:
            return False
        if pending is None:
            return self._take_repeated_receipt(self._sender, message_id)
        queued = bool(receipt.get("queued"))
        self._sender.acknowledge(pending.sequence, self._notes.acknowledged(at, queued=queued))
        failed = receipt.get("failed")
        if failed:
            self._sender.fail(pending.sequence)
        pending.answer.set_result(f"{failed} deliveries failed" if failed else None)
        return True

    def _take_repeated_receipt(self, sender: Sender, message_id: str) -> bool:
        """Note a receipt of a message that has one already; return whether it is that."""
        answered = [str(sequence) for sequence, at in enumerate(sender.answered_at) if at < math.inf]
        if message_id not in answered:
            return False
        self._notes.first(RECEIPT_REPEATED)
        return True


def problem_of(answer: dict[str, object]) -> str | None:
    """Return the code of an error of ours, the message of one of API Gateway's, or None if it is neither."""
    error = answer.get("error")
    if isinstance(error, dict):
        return str(error.get("code"))
    return str(answer["message"]) if {"message", "connectionId"} <= answer.keys() else None


def reason_of(error: BaseException) -> str:
    """Say in one word why a handshake failed: an HTTP status, ``timeout``, an error of the socket, or the exception."""
    if isinstance(error, InvalidStatus):
        return str(error.response.status_code)
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return errno.errorcode[error.errno]
    return type(error).__name__
