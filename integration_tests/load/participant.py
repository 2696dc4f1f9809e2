"""One seat of a load run: a client that talks, listens, leaves and comes back, with everything noted in the ledger."""

from __future__ import annotations

import enum
import errno
import math
import socket
import ssl
import time
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from integration_tests.harness.client import Client, Message
from integration_tests.harness.ledger import NO_QUESTION
from integration_tests.load.replies import STRANGE, Replies

if TYPE_CHECKING:
    import asyncio

    from integration_tests.harness.ledger import Member, Sender
    from integration_tests.load.recorder import Recorder

TIMEOUT = "timeout"
CONNECT_ERRORS = (OSError, InvalidHandshake, ConnectionClosed, EOFError)


class Farewell(enum.Enum):
    """How a client goes."""

    CLOSE = "closed"
    ABORT = "aborted"


class Participant:
    """Whoever holds one seat; a new connection after a lost one is the same sender and a new member.

    Args:
        notes: Where everything is noted.
        room: The room that the seat is in.
        name: Name of the seat, unique in the run.
    """

    __slots__ = ("_client", "_member", "_notes", "_replies", "_sender", "name", "room")

    def __init__(self, notes: Recorder, room: str, name: str) -> None:
        self.room = room
        self.name = name
        self._notes = notes
        self._client: Client | None = None
        self._member: Member | None = None
        self._sender: Sender | None = None
        self._replies: Replies | None = None

    @property
    def present(self) -> bool:
        """Whether the client is connected."""
        return self._client is not None and self._client.is_open

    @property
    def unanswered(self) -> int:
        """How many messages on this connection have had no answer yet."""
        return 0 if self._replies is None else self._replies.unanswered

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
        member.asked_at = time.monotonic()
        try:
            self._client = await Client.connect(
                url, self.room, on_message=self._take, within=self._notes.handshake_within
            )
        except CONNECT_ERRORS as error:
            reason = reason_of(error)
            connects.refused[reason] = connects.refused.get(reason, 0) + 1
            self._notes.first(f"handshake refused: {reason}")
            return reason
        member.joined_at = self._client.connected_at
        connects.succeeded += 1
        connects.times.record(member.joined_at - due)
        connects.late += member.joined_at - member.asked_at > self._notes.ledger.terms.late_after
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
        replies = self._listen()
        assert self._sender is not None
        sequence, text = self._sender.attempt(due, time.monotonic(), size)
        message_id, answer = replies.expect(sequence)
        try:
            await self._client.say(text, id=message_id)
        except ConnectionClosed:
            self._notes.first("connection lost while sending")
        return answer

    def _listen(self) -> Replies:
        """Be a sender from now on."""
        if self._replies is None:
            self._sender = self._notes.ledger.sender(self.room, self.name)
            self._replies = Replies(self._sender)
        return self._replies

    async def leave(self, farewell: Farewell) -> None:
        """Go, if connected."""
        client, member = self._client, self._member
        if client is None or member is None:
            return
        self.notice_end()
        member.leaving_at = time.monotonic()
        await (client.close() if farewell is Farewell.CLOSE else client.abort())
        member.left_at = min(member.left_at, client.ended_at)
        if self._replies is not None:
            self._replies.abandon(member.leaving_at)
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
        if self._replies is not None:
            self._replies.give_up("connection lost")

    def _take(self, message: Message) -> None:
        self._notes.received(message.received_at)
        assert self._member is not None
        if not message.text.startswith("{"):  # as all answers do, and no message of this run
            self._notes.ledger.receive(self._member, message.text, message.received_at)
            return
        reply = self._listen().take(message.text, message.received_at)
        if reply.event is not None:
            self._notes.first(reply.event)
        if reply is STRANGE:
            self._notes.ledger.receive(self._member, message.text, message.received_at)
        elif not reply.taken:
            self._notes.ledger.stray(self._member, NO_QUESTION, message.text, message.received_at)


def reason_of(error: BaseException) -> str:
    """Say in few words why a handshake failed: an HTTP status, ``timeout``, TLS, a socket's error, or the rest."""
    if isinstance(error, InvalidStatus):
        return str(error.response.status_code)
    if isinstance(error, TimeoutError):
        return TIMEOUT
    if isinstance(error, ssl.SSLError):  # its number is one of OpenSSL's, not of the system's
        return f"TLS: {getattr(error, 'verify_message', '') or error.reason or 'failed'}"
    if isinstance(error, socket.gaierror):
        return "unknown host"
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return errno.errorcode[error.errno]
    return type(error).__name__
