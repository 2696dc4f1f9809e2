"""One simulated client of a load run, which connects, sends, disconnects and reconnects; the ledger records it all."""

from __future__ import annotations

import enum
import errno
import math
import socket
import ssl
import time
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from integration_tests.harness.ledger import NO_QUESTION
from integration_tests.load.listener import Listener
from integration_tests.load.replies import STRANGE, Replies

if TYPE_CHECKING:
    from integration_tests.harness.ledger import Member, Sender
    from integration_tests.load.recorder import Recorder

TIMEOUT = "timeout"
CONNECT_ERRORS = (OSError, InvalidHandshake, ConnectionClosed, EOFError)


class CloseMode(enum.Enum):
    """How a client disconnects: with a closing handshake, or by dropping the TCP connection."""

    CLOSE = "closed"
    ABORT = "aborted"


class VirtualUser:
    """One simulated client. After a reconnect it keeps its sender identity and becomes a new member.

    Args:
        recorder: Records everything.
        room: The client's room.
        name: The client's name, unique in the run.
    """

    __slots__ = ("_client", "_member", "_recorder", "_replies", "_sender", "name", "room")

    def __init__(self, recorder: Recorder, room: str, name: str) -> None:
        self.room = room
        self.name = name
        self._recorder = recorder
        self._client: Listener | None = None
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
        """Connect; a refusal is recorded, not raised.

        Args:
            url: The stage's WebSocket URL.
            due: When the handshake was meant to begin, monotonic seconds; its time counts from here.

        Returns:
            Why it was refused, if it was.
        """
        connects = self._recorder.connects
        connects.attempted += 1
        self._member = member = self._recorder.ledger.member(self.room, self.name)
        member.asked_at = time.monotonic()
        try:
            self._client = await Listener.connect(url, self.room, self._take, self._recorder.handshake_within)
        except CONNECT_ERRORS as error:
            reason = reason_of(error)
            connects.refused[reason] = connects.refused.get(reason, 0) + 1
            self._recorder.first(f"handshake refused: {reason}")
            return reason
        member.joined_at = self._client.connected_at
        connects.succeeded += 1
        connects.times.record(member.joined_at - due)
        connects.late += member.joined_at - member.asked_at > self._recorder.ledger.terms.late_after
        return None

    async def say(self, due: float, size: int, words: str = "") -> None:
        """Send one message to the room and ask for a receipt.

        Args:
            due: When the schedule wanted it sent, monotonic seconds.
            size: Characters of its text; a text is never shorter than the ledger needs.
            words: Sent instead of such a text.
        """
        assert self._client is not None
        replies = self._listen()
        assert self._sender is not None
        sequence, text = self._sender.attempt(due, time.monotonic(), size)
        if words:
            text = self._recorder.ledger.in_plain_words(text, words)
        try:
            await self._client.say(text, id=replies.expect(sequence))
        except ConnectionClosed:
            self._recorder.first("connection lost while sending")

    def _listen(self) -> Replies:
        """Return the matcher of answers and messages; from the first call on, the client is a sender."""
        if self._replies is None:
            self._sender = self._recorder.ledger.sender(self.room, self.name)
            self._replies = Replies(self._sender)
        return self._replies

    def awaits(self, begin: float, end: float) -> bool:
        """Whether a message that was sent from ``begin`` to ``end`` (monotonic seconds) may still be answered."""
        self.notice_end()
        return self._replies is not None and self._replies.awaits(begin, end)

    async def leave(self, mode: CloseMode) -> None:
        """Disconnect, if connected."""
        client, member = self._client, self._member
        if client is None or member is None:
            return
        self.notice_end()
        member.leaving_at = time.monotonic()
        await (client.close() if mode is CloseMode.CLOSE else client.abort())
        member.left_at = min(member.left_at, client.ended_at)
        if self._replies is not None:
            self._replies.abandon(member.leaving_at)
        self._give_up()

    def notice_end(self) -> None:
        """Record it if the other side ended the connection."""
        client, member = self._client, self._member
        if client is None or member is None or client.ended_at == math.inf:
            return
        member.left_at = client.ended_at
        self._recorder.first(f"connection ended by the other side, close code {client.close_code}")
        self._give_up()

    def _give_up(self) -> None:
        """Drop the ended connection, and stop waiting for its answers."""
        self._client = None
        if self._replies is not None:
            self._replies.give_up()

    def _take(self, text: str, at: float) -> None:
        self._recorder.received(at)
        assert self._member is not None
        try:
            self._record(self._member, text, at)
        except Exception as error:  # noqa: BLE001 - whatever a stage sends, the run ends with a report
            self._recorder.unrecorded(self._member, error, text, at)

    def _record(self, member: Member, text: str, at: float) -> None:
        if not text.startswith("{"):  # as all answers do, and no message of this run
            self._recorder.ledger.receive(member, text, at)
            return
        reply = self._listen().take(text, at)
        if reply.event is not None:
            self._recorder.first(reply.event)
        if reply is STRANGE:
            self._recorder.ledger.receive(member, text, at)
        elif not reply.taken:
            self._recorder.ledger.stray(member, NO_QUESTION, text, at)


def reason_of(error: BaseException) -> str:
    """Return why a handshake failed, in few words: an HTTP status, ``timeout``, a TLS or socket error, or its type."""
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
