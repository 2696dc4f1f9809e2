"""Non-blocking connections, with TLS for ``https`` endpoints; the fan-out engine drives hundreds of them."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import time
from typing import TYPE_CHECKING, NoReturn

from roomcast.addresses import TrustWidenedError
from roomcast.http_parser import ProtocolError, ResponseParser

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.addresses import Address, Endpoint
    from roomcast.http_parser import Response

IDLE_LIMIT_SECONDS = 300
"""A connection unused for longer is not used again: NAT gateways drop it after 350 s and notify neither side."""

UNACKNOWLEDGED_SECONDS = 1.0
"""When the peer's system has acknowledged nothing for so long, the connection is dead: a frozen execution environment
may find it so. Packets within a Region take milliseconds, and some are sent three times in that time."""

IDLE_TRUST_SECONDS = 2.0
"""A connection unused for longer may have gone silent: its next answer gets less time."""

OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""This machine's limits, such as that of open files: no address is to blame, and none is better."""

_READ_BYTES = 16_384  # one TLS record at most
_IN_PROGRESS = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Connection:
    """One non-blocking connection, over HTTP/1.1 with at most one request under way.

    Its owner waits until the socket is ready for ``interest`` and then calls ``establish``, until ``established``.
    After that it calls ``send`` and, whenever the socket is ready again, ``receive`` and ``flush``; ``read`` and
    ``write`` are for other protocols. Every method raises
    ``OSError`` or ``ProtocolError`` when the connection has become useless: ``close`` it then.

    Args:
        endpoint: Destination; the next of its addresses that does not refuse at once is used.
        deadline: How long the resolver may take, in seconds of ``time.monotonic``.

    Attributes:
        interest: Events to wait for: ``selectors.EVENT_READ``, ``EVENT_WRITE`` or both.
        established: Whether requests can be sent.
        answers: How many answers have been read.
        address: The peer's address.
        used_at: When the last answer was read, in Unix time.

    Raises:
        OSError: Every address refused at once.
        UnresolvedError: The resolver did not answer by the deadline.
        TransportError: The host name does not resolve.
    """

    __slots__ = (
        "_endpoint",
        "_parser",
        "_read",
        "_socket",
        "_unsent",
        "_write",
        "address",
        "answers",
        "established",
        "interest",
        "used_at",
    )

    def __init__(self, endpoint: Endpoint, deadline: float = float("inf")) -> None:
        self._endpoint = endpoint
        self._parser: ResponseParser | None = None
        self._unsent = memoryview(b"")
        self.answers = 0
        self.established = False
        self.interest = selectors.EVENT_WRITE
        self.used_at = time.time()
        self.address, self._socket = _begin_to_connect(endpoint, deadline)
        self._read: Callable[[int], bytes] = self._socket.recv
        self._write: Callable[[bytes | bytearray | memoryview], int] = self._socket.send

    def fileno(self) -> int:
        """The socket's descriptor, for selectors."""
        return self._socket.fileno()

    @property
    def protocol(self) -> str | None:
        """The protocol that the handshake has agreed on (ALPN), if any."""
        return self._socket.selected_alpn_protocol() if isinstance(self._socket, ssl.SSLSocket) else None

    @property
    def answering(self) -> bool:
        """Whether a part of the answer has arrived."""
        return self._parser is not None

    def establish(self) -> None:
        """Take the next step of connecting.

        Raises:
            TrustWidenedError: Another connection to the same address may succeed.
        """
        if not isinstance(self._socket, ssl.SSLSocket):
            _check_connecting(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            if _TCP_USER_TIMEOUT is not None:
                milliseconds = int(UNACKNOWLEDGED_SECONDS * 1000)
                self._socket.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, milliseconds)
            if self._endpoint.tls:
                self._socket = self._endpoint.wrap(self._socket)
                # The object behind the socket, without the socket's own two Python functions for each read and write: a
                # fiftieth of the time for a post. Should a later Python have no such object, the socket itself.
                encrypted = getattr(self._socket, "_sslobj", self._socket)
                self._read, self._write = encrypted.read, encrypted.write
        self.interest = selectors.EVENT_READ
        self.established = not isinstance(self._socket, ssl.SSLSocket) or self._shake_hands(self._socket)

    def send(self, request: bytes) -> None:
        """Send as much of a request as the socket takes now; ``flush`` sends the rest."""
        sent = self.write(request)
        if sent < len(request):
            self._unsent = memoryview(request)[sent:]
            self.interest = selectors.EVENT_READ | selectors.EVENT_WRITE

    def flush(self) -> None:
        """Send the rest of a request, as far as the socket takes it now."""
        while self._unsent:
            sent = self.write(self._unsent)
            if not sent:
                return
            self._unsent = self._unsent[sent:]
        self.interest = selectors.EVENT_READ

    def receive(self) -> Response | None:
        """Read the bytes that have arrived; give the answer once it is complete."""
        while (data := self.read()) is not None:
            answer = self.take(data)
            if answer is not None:
                return answer
        return None

    def take(self, data: bytes) -> Response | None:
        """Take bytes that ``read`` gave; give the answer once it is complete."""
        if self._parser is None:
            if not data:
                raise ConnectionError("the server closed the connection")
            self._parser = ResponseParser(self._endpoint.maximum_answer_bytes)
        answer = self._parser.feed(data) if data else self._parser.end()
        return None if answer is None else self._answered(answer)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Send as much as the socket takes now; gives how many bytes that were."""
        try:
            return self._write(data)
        except _WOULD_BLOCK:
            return 0
        except TimeoutError as error:
            raise ConnectionError(_SILENT) from error

    def read(self) -> bytes | None:
        """Read arrived bytes, at most one TLS record; ``None`` if there are none, no bytes at the end."""
        try:
            return self._read(_READ_BYTES)
        except _WOULD_BLOCK:
            return None
        except ssl.SSLEOFError:
            # As of a socket: the parser knows whether the answer may end so.
            return b""
        except TimeoutError as error:
            # From the system, as there is no time limit on the socket.
            raise ConnectionError(_SILENT) from error

    def usable(self) -> bool:
        """Whether an idle connection looks alive: not too old, not closed by the server, nothing unexpected in it."""
        if time.time() - self.used_at > IDLE_LIMIT_SECONDS:
            return False
        try:
            return self.receive() is None and not self.answering
        except (OSError, ProtocolError):
            return False

    def idled(self, since: float) -> bool:
        """Whether the connection had answered before, but had been unused for so long that it may have gone silent.

        Args:
            since: When the request under way was sent, in seconds of ``time.monotonic``.
        """
        unused = time.time() - self.used_at - (time.monotonic() - since)
        return self.answers > 0 and unused > IDLE_TRUST_SECONDS

    def close(self) -> None:
        """Close at once, also with a request under way."""
        # The descriptor may soon be that of another connection.
        self._read = self._write = _refuse
        self._socket.close()

    def _answered(self, answer: Response) -> Response:
        self._parser = None
        self.note_answers(1)
        if self._unsent:
            # An answer before the end of the request: the server would take the rest of it for the next request.
            return answer._replace(keep_alive=False)
        return answer

    def take_over(self, other: Connection) -> None:
        """Become the one that uses another object's connection."""
        for name in Connection.__slots__:
            setattr(self, name, getattr(other, name))

    def note_answers(self, count: int) -> None:
        """Count answers that have been read just now."""
        is_first = not self.answers
        self.answers += count
        self.used_at = time.time()
        if is_first and isinstance(self._socket, ssl.SSLSocket) and not self._socket.session_reused:
            # With TLS 1.3 the server sends tickets after the handshake: only now has one arrived. Taking it out of the
            # socket costs a fifth of a handshake, hence not while the last one is still good.
            self._endpoint.session = self._socket.session

    def _shake_hands(self, encrypted: ssl.SSLSocket) -> bool:
        try:
            encrypted.do_handshake()
        except ssl.SSLCertVerificationError as error:
            if self._endpoint.widen_trust(encrypted.context, error):
                raise TrustWidenedError from error
            raise
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self.interest = selectors.EVENT_WRITE
            return False
        return True


# Linux has it, and so has Lambda; other systems on which tests run may not.
_TCP_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
_SILENT = "the connection has gone silent"


def _begin_to_connect(endpoint: Endpoint, deadline: float) -> tuple[Address, socket.socket]:
    """Connect to the next address that does not refuse at once, such as one of a family that this machine lacks."""
    while True:
        address = endpoint.address(deadline)
        try:
            return address, _connecting_socket(address)
        except OSError as error:
            if error.errno in OUT_OF_RESOURCES:
                raise
            endpoint.avoid(address)
            if not endpoint.alternatives:
                raise


def _connecting_socket(address: Address) -> socket.socket:
    connecting = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        # Each request is one write: waiting for more data to send with it would only delay it.
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _check_connecting(connecting.connect_ex(address.socket_address))
    except BaseException:
        connecting.close()
        raise
    return connecting


def _refuse(_: object) -> NoReturn:
    raise ConnectionError("the connection is closed")


def _check_connecting(code: int) -> None:
    if code not in _IN_PROGRESS:
        raise OSError(code, os.strerror(code))
