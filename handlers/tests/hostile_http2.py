"""The side of a server that misbehaves as told, over HTTP/2: the replies of ``hostile_server`` as one stream's faults.

An answer becomes frames. Bytes that are no whole answer, or the end of the connection instead of one, become the end of
that stream: others on the connection go on. ``Reply.frames`` are sent as they are, for faults of whole connections.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING, Protocol

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from roomcast.http2_frames import GOAWAY, frame
from roomcast.http_parser import ProtocolError, ResponseParser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from roomcast.http_parser import Response

CLOSE_HEADERS = {"connection", "transfer-encoding", "keep-alive"}


class Reply(Protocol):
    """The reply of ``hostile_server``."""

    @property
    def pieces(self) -> Sequence[bytes]: ...
    @property
    def close(self) -> bool: ...
    @property
    def reset(self) -> bool: ...
    @property
    def after(self) -> threading.Event | None: ...
    @property
    def delay(self) -> float: ...
    @property
    def frames(self) -> Callable[[int], bytes] | None: ...
    @property
    def goes_away(self) -> bool: ...
    def wait(self) -> None: ...


class Conversation:
    """One connection, served until the client hangs up.

    Args:
        connection: The connection.
        settings: Sent at first.
        reply_to: Gives the reply to a request: target, headers, body, and which one on this connection it is.
        note_answer: Called after each answer.
    """

    def __init__(
        self,
        connection: socket.socket,
        settings: Mapping[int, int],
        reply_to: Callable[[str, dict[str, str], bytes, int], Reply],
        note_answer: Callable[[], None],
    ) -> None:
        self._socket = connection
        self._reply_to = reply_to
        self._note_answer = note_answer
        self._lock = threading.Lock()
        self._http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._http2.local_settings = h2.settings.Settings(
            client=False, initial_values={h2.settings.SettingCodes(name): value for name, value in settings.items()}
        )
        self._unread = b""
        self._last = 0x7FFF_FFFF
        self._heads: dict[int, dict[str, str]] = {}
        self._bodies: dict[int, bytes] = {}
        self._threads: list[threading.Thread] = []
        self._resets = False

    def run(self) -> None:
        """Serve requests."""
        self._http2.initiate_connection()
        self._send()
        try:
            for turn, stream in enumerate(self._requests()):
                if stream > self._last:
                    continue
                head = self._heads[stream]
                reply = self._reply_to(head[":path"], head, self._bodies[stream], turn)
                if reply.after is None and not reply.delay:
                    if not self._answer(stream, reply):
                        return
                else:
                    thread = threading.Thread(target=self._answer_later, args=(stream, reply), daemon=True)
                    self._threads.append(thread)
                    thread.start()
        except h2.exceptions.TooManyStreamsError:
            pass
        finally:
            with contextlib.suppress(OSError):
                self._hang_up()
            for thread in self._threads:
                thread.join()

    def _hang_up(self) -> None:
        """End the own side, which threads that still answer find, and read until the client ends its own.

        TCP resets a connection that is closed with input unread, and takes back answers that are on their way.
        """
        with self._lock:
            self._socket.shutdown(socket.SHUT_WR)
        while not self._resets and self._socket.recv(65_536):
            pass

    def send_frames(self, data: bytes) -> None:
        """Send frames that answer nothing."""
        with self._lock:
            self._socket.sendall(data)

    def _requests(self) -> Iterator[int]:
        """Read requests until the client hangs up; gives their streams."""
        while True:
            self._wait_for_input()
            whole: list[int] = []
            with self._lock:
                data = self._read()
                if data is None:
                    continue
                if not data:
                    return
                self._unread += data
                try:
                    for unit in self._units():
                        for event in self._http2.receive_data(unit):
                            self._note(event, whole)
                finally:
                    # Also the GOAWAY after the client's protocol error.
                    self._send()
            yield from whole

    def _wait_for_input(self) -> None:
        """Wait without the lock: threads answer meanwhile, and OpenSSL allows one call at a time on a connection."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return
        input_or_end = select.poll()
        input_or_end.register(self._socket, select.POLLIN)
        patience = self._socket.gettimeout()
        if not input_or_end.poll(None if patience is None else patience * 1000):
            raise TimeoutError

    def _read(self) -> bytes | None:
        """Read input, with the lock; gives ``None`` if no whole record of TLS is there."""
        patience = self._socket.gettimeout()
        self._socket.setblocking(False)
        try:
            return self._socket.recv(65_536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        finally:
            self._socket.settimeout(patience)

    def _note(self, event: h2.events.Event, whole: list[int]) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._heads[event.stream_id] = {str(name): str(value) for name, value in event.headers}
            self._bodies[event.stream_id] = b""
        elif isinstance(event, h2.events.DataReceived):
            self._bodies[event.stream_id] += event.data
            if event.flow_controlled_length:
                self._http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            whole.append(event.stream_id)

    def _units(self) -> Iterator[bytes]:
        """The preface and the frames that are there: h2 applies a setting only from its next input on."""
        while True:
            length = 24 if self._unread[:3] == b"PRI" else 9 + int.from_bytes(self._unread[:3])
            if len(self._unread) < max(length, 9):
                return
            unit, self._unread = self._unread[:length], self._unread[length:]
            yield unit

    def _answer_later(self, stream: int, reply: Reply) -> None:
        reply.wait()
        with contextlib.suppress(OSError):
            self._answer(stream, reply)

    def _answer(self, stream: int, reply: Reply) -> bool:
        """Carry out a reply; gives whether the connection goes on."""
        with self._lock:
            if reply.goes_away:
                self._last = max(0, stream - 2)
                self._socket.sendall(frame(GOAWAY, 0, 0, struct.pack(">II", self._last, 0)))
                return True
            if reply.frames is not None:
                self._socket.sendall(reply.frames(stream))
                if reply.reset:
                    self._resets = True
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._note_answer()
                return not (reply.close or reply.reset)
            with contextlib.suppress(h2.exceptions.StreamClosedError):
                self._say(stream, _answers_in(reply.pieces))
            self._send(in_pieces=len(reply.pieces) > 1)
            self._note_answer()
        return True

    def _say(self, stream: int, answers: Sequence[Response]) -> None:
        if not answers:
            self._http2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            return
        answer = answers[0]
        headers = [(name, value) for name, value in answer.headers.items() if name not in CLOSE_HEADERS]
        self._http2.send_headers(stream, [(":status", str(answer.status)), *headers], end_stream=not answer.body)
        if answer.body:
            self._http2.send_data(stream, answer.body, end_stream=True)

    def _send(self, *, in_pieces: bool = False) -> None:
        data = self._http2.data_to_send()
        step = 1 if in_pieces else len(data) or 1
        for start in range(0, len(data), step):
            self._socket.sendall(data[start : start + step])


def _answers_in(pieces: Sequence[bytes]) -> list[Response]:
    """The answer that the bytes of a reply are over HTTP/1.1, if they are one."""
    parser = ResponseParser()
    try:
        for piece in pieces:
            answer = parser.feed(piece)
            if answer is not None:
                return [answer]
        return [parser.end()]
    except ProtocolError:
        return []
