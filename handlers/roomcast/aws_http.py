"""Signed HTTP/1.1 over kept-alive TLS connections, in the standard library alone.

``Client`` is what DynamoDB and SQS are called with: one request at a time. ``Connection`` is the non-blocking part
below it, which the fan-out engine drives by the hundred.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import select
import selectors
import socket
import ssl
import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast.http_parser import ProtocolError, Response, ResponseParser
from roomcast.signing import Credentials, SignedRequests, Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "Client",
    "Connection",
    "Credentials",
    "Endpoint",
    "Response",
    "SignedRequests",
    "Signer",
    "TransportError",
    "backoff_seconds",
]

ADDRESS_LIFETIME_SECONDS = 60
"""How long the addresses of a host are believed; also what the load balancers in front of AWS services use."""

IDLE_LIMIT_SECONDS = 300
"""A connection unused for longer is not used again: NAT gateways forget it after 350 s without telling anybody."""

CONNECT_SECONDS = 3.0
"""How long one address may take to accept a connection, TLS included, before the next one is tried."""

_READ_BYTES = 16_384  # one TLS record at most
_IN_PROGRESS = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_URL = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::([0-9]{1,5}))?(/[^?#\s]*)?", re.ASCII)


class TransportError(Exception):
    """No answer: the connection could not be made, broke, timed out or carried something that is not HTTP.

    Args:
        message: What happened.
        sent: Whether the server may have received the request.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


def backoff_seconds(attempt: int, *, base: float, cap: float, random: Callable[[], float]) -> float:
    """How long to wait before the next try: full jitter over an exponentially growing range.

    See "Exponential Backoff And Jitter" in the AWS architecture blog.

    Args:
        attempt: How many tries have failed, from 1.
        base: Upper end of the first wait, in seconds.
        cap: Upper end of any wait, in seconds.
        random: Gives numbers of [0, 1), such as ``random.random``.
    """
    return random() * min(cap, base * 2.0 ** min(attempt - 1, 32))


def tls_context() -> ssl.SSLContext:
    """The process's TLS settings: certificate and host name verified, always.

    ``AWS_CA_BUNDLE`` (as in AWS SDKs) or else ``SSL_CERT_FILE`` (as in OpenSSL) names another file of certificate
    authorities. Reading them takes some 20 ms of CPU, hence once and only when the first connection is opened.
    """
    return _tls_context(os.environ.get("AWS_CA_BUNDLE"), os.environ.get("SSL_CERT_FILE"))


@functools.lru_cache(maxsize=1)
def _tls_context(bundle: str | None, _ssl_cert_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=bundle or None)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


class Address(NamedTuple):
    """Where a socket connects to: a family and what that family calls an address."""

    family: int
    socket_address: tuple[object, ...]


class Endpoint:
    """Where requests go: a base URL, the addresses behind it, and the TLS session to resume.

    Args:
        url: Base URL, ``https://`` or, for emulators, ``http://``; its path goes before that of every request.

    Raises:
        ValueError: The URL is not one of these.
    """

    def __init__(self, url: str) -> None:
        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError(f"not a base URL of the form https://host[:port][/path]: {url!r}")
        scheme, host, port, path = match.groups()
        default_port = 443 if scheme == "https" else 80
        self.tls = scheme == "https"
        self.host = host.strip("[]")
        self.port = int(port or default_port)
        self.path = (path or "").rstrip("/")
        self.host_header = host if self.port == default_port else f"{host}:{self.port}"
        self._context: ssl.SSLContext | None = None
        self.session: ssl.SSLSession | None = None
        self._addresses: list[Address] = []
        self._resolved_at = float("-inf")
        self._next = -1

    def wrap(self, connected: socket.socket) -> ssl.SSLSocket:
        """Put TLS on a connected socket, resuming the last session; the handshake is still to be done."""
        # A session can be resumed only under the settings that it was made with.
        self._context = self._context or tls_context()
        return self._context.wrap_socket(
            connected, server_hostname=self.host, do_handshake_on_connect=False, session=self.session
        )

    def addresses(self) -> int:
        """How many addresses the host has, looked up anew once a minute.

        Raises:
            TransportError: The host name does not resolve.
        """
        now = time.monotonic()
        if not self._addresses or now - self._resolved_at >= ADDRESS_LIFETIME_SECONDS:
            try:
                found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            except OSError as error:
                raise TransportError(f"cannot resolve {self.host}: {error}", sent=False) from error
            self._addresses = [Address(family, address) for family, _, _, _, address in found]
            self._resolved_at = now
        return len(self._addresses)

    def address(self) -> Address:
        """The address for the next connection: the host's addresses in turn."""
        count = self.addresses()
        self._next += 1
        return self._addresses[self._next % count]

    @property
    def alternatives(self) -> bool:
        """Whether more than one address is left to try."""
        return len(self._addresses) > 1

    def avoid(self, address: Address) -> None:
        """Note that an address accepts no connection: it is left out until the next look-up, unless it is the last."""
        if self.alternatives and address in self._addresses:
            self._addresses.remove(address)


class Connection:
    """One non-blocking connection with at most one request under way.

    Its owner waits until the socket is ready for ``interest`` and then calls ``establish``, until ``established``;
    after that ``send`` and, whenever the socket is ready again, ``receive`` and ``flush``. Every method raises
    ``OSError`` or ``ProtocolError`` when the connection is of no more use: ``close`` it then.

    Args:
        endpoint: Where to; the next of its addresses is used.

    Attributes:
        interest: What to wait for: ``selectors.EVENT_READ``, ``EVENT_WRITE`` or both.
        established: Whether requests can be sent.
        answers: How many answers have been read.
        address: Where it connects to.
        used_at: When the last answer was read, in Unix time.

    Raises:
        OSError: The connection was refused at once.
        TransportError: The host name does not resolve.
    """

    __slots__ = (
        "_endpoint",
        "_parser",
        "_read",
        "_socket",
        "_unsent",
        "address",
        "answers",
        "established",
        "interest",
        "used_at",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.address = endpoint.address()
        self._parser: ResponseParser | None = None
        self._unsent = memoryview(b"")
        self.answers = 0
        self.established = False
        self.interest = selectors.EVENT_WRITE
        self.used_at = time.time()
        self._socket = socket.socket(self.address.family, socket.SOCK_STREAM)
        self._read: Callable[[int], bytes] = self._socket.recv
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _check_connecting(self._socket.connect_ex(self.address.socket_address))
        except OSError:
            self._socket.close()
            endpoint.avoid(self.address)
            raise

    def fileno(self) -> int:
        """The socket's descriptor, for selectors."""
        return self._socket.fileno()

    @property
    def answering(self) -> bool:
        """Whether a part of the answer has arrived."""
        return self._parser is not None

    def establish(self) -> None:
        """Go on connecting."""
        if not isinstance(self._socket, ssl.SSLSocket):
            _check_connecting(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            if self._endpoint.tls:
                self._socket = self._endpoint.wrap(self._socket)
                self._read = self._socket.read
        self.interest = selectors.EVENT_READ
        self.established = not isinstance(self._socket, ssl.SSLSocket) or self._shake_hands(self._socket)

    def send(self, request: bytes) -> None:
        """Send a request, as far as the socket takes it now; ``flush`` sends the rest."""
        try:
            sent = self._socket.send(request)
        except _WOULD_BLOCK:
            sent = 0
        if sent < len(request):
            self._unsent = memoryview(request)[sent:]
            self.interest = selectors.EVENT_READ | selectors.EVENT_WRITE

    def flush(self) -> None:
        """Go on sending what ``send`` could not."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except _WOULD_BLOCK:
            return
        self.interest = selectors.EVENT_READ

    def receive(self, recognise: Callable[[bytes], Response | None] | None = None) -> Response | None:
        """Read what has arrived; give the answer once it is complete.

        Args:
            recognise: A quick look at the first bytes of an answer, tried before the parser.
        """
        while True:
            try:
                data = self._read(_READ_BYTES)
            except _WOULD_BLOCK:
                return None
            if self._parser is None:
                answer = recognise(data) if recognise is not None else None
                if answer is not None:
                    return self._answered(answer)
                if not data:
                    raise ConnectionError("the server closed the connection")
                self._parser = ResponseParser()
            answer = self._parser.feed(data) if data else self._parser.end()
            if answer is not None:
                return self._answered(answer)

    def usable(self) -> bool:
        """Whether an idle connection looks alive: not too old, not closed by the server, nothing unexpected in it."""
        if time.time() - self.used_at > IDLE_LIMIT_SECONDS:
            return False
        try:
            return self.receive() is None and not self.answering
        except (OSError, ProtocolError):
            return False

    def close(self) -> None:
        """Close at once, whatever is under way."""
        self._socket.close()

    def _answered(self, answer: Response) -> Response:
        self._parser = None
        self.answers += 1
        self.used_at = time.time()
        if self.answers == 1 and isinstance(self._socket, ssl.SSLSocket) and not self._socket.session_reused:
            # With TLS 1.3 the server sends tickets after the handshake: only now has one arrived. Taking it out of the
            # socket costs a fifth of a handshake, hence not while the last one is still good.
            self._endpoint.session = self._socket.session
        if self._unsent:
            # An answer before the end of the request: what is left of it would be taken for the next one.
            return answer._replace(keep_alive=False)
        return answer

    def _shake_hands(self, encrypted: ssl.SSLSocket) -> bool:
        try:
            encrypted.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self.interest = selectors.EVENT_WRITE
            return False
        return True


def _check_connecting(code: int) -> None:
    if code not in _IN_PROGRESS:
        raise OSError(code, os.strerror(code))


class Client:
    """Calls one AWS service, one request at a time, on a connection that it keeps.

    Args:
        endpoint_url: Base URL, such as ``https://dynamodb.eu-central-1.amazonaws.com``; ``http://`` for emulators.
        service: Signing name, such as ``dynamodb``.
        region: Region to sign for.
    """

    def __init__(self, endpoint_url: str, service: str, region: str) -> None:
        self._endpoint = Endpoint(endpoint_url)
        self._signer = Signer(service, region)
        self._connection: Connection | None = None

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, deadline: float) -> Response:
        """Send a request and wait for its answer, whatever its status.

        The request is sent once. Only if a kept-alive connection turns out to be closed before any byte of the answer
        is it sent again, on a new connection: ``Response.resent`` tells that it may have been received twice.

        Args:
            method: HTTP method.
            path: Path below the endpoint's, as it goes over the wire, without a query.
            headers: All are signed.
            body: Bytes of the body.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            TransportError: There was no answer.
        """
        requests = SignedRequests(
            self._signer,
            Credentials.from_environment(),
            method,
            self._endpoint.host_header,
            self._endpoint.path + path,
            headers,
            body,
        )
        message = requests.head() + body
        resent = False
        kept = self._take_kept_connection()
        if kept is not None:
            try:
                return self._exchange(kept, message, deadline)
            except _StaleConnectionError:
                resent = True
        try:
            answer = self._exchange(self._connect(deadline), message, deadline)
        except TransportError as error:
            raise TransportError(str(error), sent=error.sent or resent) from error
        return answer._replace(resent=resent)

    def close(self) -> None:
        """Close the kept-alive connection; the client can be used on."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take_kept_connection(self) -> Connection | None:
        """The connection of the last call, if it is still good; it is kept again after the next answer."""
        connection, self._connection = self._connection, None
        if connection is None or connection.usable():
            return connection
        connection.close()
        return None

    def _connect(self, deadline: float) -> Connection:
        """Open a connection to the first address that accepts one."""
        error: Exception = TimeoutError("no time left")
        for _ in range(self._endpoint.addresses()):
            try:
                connection = Connection(self._endpoint)
            except OSError as failure:
                error = failure
                continue
            give_up_at = min(deadline, time.monotonic() + CONNECT_SECONDS)
            try:
                while not connection.established:
                    _wait(connection, give_up_at)
                    connection.establish()
            except OSError as failure:
                connection.close()
                self._endpoint.avoid(connection.address)
                error = failure
            else:
                return connection
        raise TransportError(f"cannot connect to {self._endpoint.host_header}: {error}", sent=False) from error

    def _exchange(self, connection: Connection, request: bytes, deadline: float) -> Response:
        try:
            connection.send(request)
            while (answer := self._receive(connection, deadline)) is None:
                pass
        except (OSError, ProtocolError) as error:
            connection.close()
            closed = isinstance(error, ConnectionError | ssl.SSLError)
            if closed and connection.answers and not connection.answering:
                raise _StaleConnectionError(str(error), sent=True) from error
            raise TransportError(f"no answer from {self._endpoint.host_header}: {error}", sent=True) from error
        except BaseException:
            connection.close()
            raise
        if answer.keep_alive:
            self._connection = connection
        else:
            connection.close()
        return answer

    def _receive(self, connection: Connection, deadline: float) -> Response | None:
        _wait(connection, deadline)
        # Read first: a refusal may come, and the connection go, before the end of a long request.
        answer = connection.receive()
        if answer is None:
            connection.flush()
        return answer


class _StaleConnectionError(TransportError):
    """A kept-alive connection was closed before any byte of the answer."""


def _wait(connection: Connection, deadline: float) -> None:
    """Wait until the connection is ready for what it is interested in.

    Raises:
        TimeoutError: It was not, until the deadline.
    """
    remaining = deadline - time.monotonic()
    poll = select.poll()
    events = (select.POLLIN if connection.interest & selectors.EVENT_READ else 0) | (
        select.POLLOUT if connection.interest & selectors.EVENT_WRITE else 0
    )
    poll.register(connection, events)
    if remaining <= 0 or not poll.poll(remaining * 1000):
        raise TimeoutError("timed out")
