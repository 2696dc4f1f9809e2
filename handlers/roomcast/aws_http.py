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
import threading
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
    "UnresolvedError",
    "backoff_seconds",
]

ADDRESS_LIFETIME_SECONDS = 5
"""How long the addresses of a host are believed: AWS answers with a time to live of 5 s, and moves addresses."""

AVOID_SECONDS = 60
"""How long an address that accepted no connection is left out while the host has others: it costs each try a second."""

LOOK_UP_SECONDS = 10.0
"""A look-up that has taken longer is given up and another one begun. The system's resolver waits 5 s for each server:
this leaves time for the second one's answer."""

IDLE_LIMIT_SECONDS = 300
"""A connection unused for longer is not used again: NAT gateways forget it after 350 s without telling anybody."""

CONNECT_SECONDS = 3.0
"""How long the last address of a host may take to accept a connection, TLS included. A lost packet is sent again after
1 s: this leaves time for one, and not for the rest of a handler's time."""

NEXT_ADDRESS_SECONDS = 1.0
"""The same for an address while there are others to try: in one Region, an answer takes hundredths of a second."""

UNACKNOWLEDGED_SECONDS = 1.0
"""When the peer's system has acknowledged nothing for so long, the connection is dead: a frozen execution environment
may find it so. Packets within a Region take milliseconds, and some are sent three times in that time."""

IDLE_TRUST_SECONDS = 2.0
"""A connection unused for longer may have gone silent: its next answer gets less time."""

FIRST_ANSWER_SECONDS = 1.0
"""How long the first byte of that answer may take before the request is sent again on a new connection; AWS's services
answer within hundredths of a second."""

_READ_BYTES = 16_384  # one TLS record at most
_IN_PROGRESS = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}
_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_URL = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::([0-9]{1,5}))?(/[^?#\s]*)?", re.ASCII)
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*/?", re.ASCII)
_ADDRESS = re.compile(r"[0-9.]+|.*:.*", re.ASCII)


class TransportError(Exception):
    """No answer: the connection could not be made, broke, timed out or carried something that is not HTTP.

    Args:
        message: What happened.
        sent: Whether the server may have received the request.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class UnresolvedError(TransportError):
    """The resolver has not answered yet; the look-up goes on, and a later try finds its result."""

    def __init__(self, host: str) -> None:
        super().__init__(f"cannot resolve {host}: the resolver does not answer", sent=False)


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
        url: Base URL, ``https://`` or, for emulators, ``http://``; its path goes before that of every request. The path
            must match ``(/[A-Za-z0-9._~-]+)*/?`` and hold no segment ``.`` or ``..``: what is on its way normalised,
            percent-encoded or decoded is not what was signed.

    Raises:
        ValueError: The URL is not one of these.
    """

    def __init__(self, url: str) -> None:
        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError(f"not a base URL of the form https://host[:port][/path]: {url!r}")
        scheme, host, port, path = match.groups()
        if not _PATH.fullmatch(path or ""):
            raise ValueError(
                "not a base URL whose path can be signed; between single slashes it may hold the characters "
                f"A-Z a-z 0-9 . _ ~ - but not '.' or '..' alone: {url!r}"
            )
        default_port = 443 if scheme == "https" else 80
        self.tls = scheme == "https"
        self.host = host.strip("[]")
        self.port = int(port or default_port)
        self.path = (path or "").rstrip("/")
        self.host_header = host if self.port == default_port else f"{host}:{self.port}"
        self._context: ssl.SSLContext | None = None
        self.session: ssl.SSLSession | None = None
        self._addresses: list[Address] = []
        self._resolved_at: _Moment = _LONG_AGO
        self._look_up: _LookUp | None = None
        self._avoided: dict[Address, _Moment] = {}
        self._next = 0

    def wrap(self, connected: socket.socket) -> ssl.SSLSocket:
        """Put TLS on a connected socket, resuming the last session; the handshake is still to be done."""
        # A session can be resumed only under the settings that it was made with.
        self._context = self._context or tls_context()
        return self._context.wrap_socket(
            connected, server_hostname=self.host, do_handshake_on_connect=False, session=self.session
        )

    def addresses(self, deadline: float = float("inf")) -> int:
        """How many addresses the host has that may be tried, looked up anew every ``ADDRESS_LIFETIME_SECONDS``.

        Args:
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            UnresolvedError: The resolver did not answer by the deadline.
            TransportError: The host name does not resolve.
        """
        if not self._addresses or self._resolved_at.seconds_ago() >= ADDRESS_LIFETIME_SECONDS:
            found = self._looked_up(deadline)
            self._avoided = {
                address: moment for address, moment in self._avoided.items() if moment.seconds_ago() < AVOID_SECONDS
            }
            self._addresses = [address for address in found if address not in self._avoided] or found
        return len(self._addresses)

    def address(self, deadline: float = float("inf")) -> Address:
        """The address for the next connection: the host's addresses in turn; raises as ``addresses`` does."""
        index = self._next % self.addresses(deadline)
        self._next = index + 1
        return self._addresses[index]

    @property
    def alternatives(self) -> bool:
        """Whether there is an address left that is not known to accept no connection."""
        return bool(self._addresses)

    @property
    def connect_seconds(self) -> float:
        """How long an address may take to accept a connection, TLS included."""
        return NEXT_ADDRESS_SECONDS if len(self._addresses) > 1 else CONNECT_SECONDS

    def avoid(self, address: Address) -> None:
        """Note that an address accepts no connection: others are tried. After the last one, all are looked up anew."""
        if address in self._addresses:
            self._next -= self._addresses.index(address) < self._next
            self._addresses.remove(address)
            self._avoided[address] = _Moment()
            if not self._addresses:
                self._avoided.clear()

    def _looked_up(self, deadline: float) -> list[Address]:
        look_up = self._look_up
        if look_up is None or look_up.is_spent():
            look_up = self._look_up = _LookUp(self.host, self.port)
        if not look_up.wait(deadline):
            raise UnresolvedError(self.host)
        self._look_up = None
        if look_up.error is not None:
            raise TransportError(f"cannot resolve {self.host}: {look_up.error}", sent=False) from look_up.error
        self._resolved_at = look_up.ended_at or _LONG_AGO
        return look_up.found


class _Moment:
    """A moment to measure from, by two clocks: while Lambda freezes a process, one of them may stand still."""

    __slots__ = ("_monotonic", "_wall")

    def __init__(self) -> None:
        self._monotonic = time.monotonic()
        self._wall = time.time()

    def seconds_ago(self) -> float:
        """How long ago it was."""
        return max(time.monotonic() - self._monotonic, time.time() - self._wall)


class _LongAgo(_Moment):
    def seconds_ago(self) -> float:
        return float("inf")


_LONG_AGO = _LongAgo()


class _LookUp:
    """One look-up of a host's addresses, in a thread of its own, for the system's resolver takes no deadline.

    Attributes:
        found: The addresses.
        error: Why there are none.
        ended_at: When the resolver answered, if it has.
    """

    def __init__(self, host: str, port: int) -> None:
        self.found: list[Address] = []
        self.error: Exception | None = None
        self.ended_at: _Moment | None = None
        self._began_at = _Moment()
        self._ended = threading.Event()
        if _ADDRESS.fullmatch(host):
            self._run(host, port)  # an address is no name: there is nothing to wait for
        else:
            threading.Thread(target=self._run, args=(host, port), daemon=True).start()

    def _run(self, host: str, port: int) -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self.found = list(dict.fromkeys(Address(family, address) for family, _, _, _, address in answers))
            if not answers:
                self.error = OSError("it has no address")
        except (OSError, UnicodeError) as error:
            self.error = error
        finally:
            self.ended_at = _Moment()
            self._ended.set()

    def is_spent(self) -> bool:
        """Whether it has taken too long, or ended too long ago, to wait for it any more."""
        if self.ended_at is not None:
            return self.ended_at.seconds_ago() >= ADDRESS_LIFETIME_SECONDS
        return self._began_at.seconds_ago() >= LOOK_UP_SECONDS

    def wait(self, deadline: float) -> bool:
        """Wait for the resolver, until a deadline in seconds of ``time.monotonic``; whether it has answered."""
        left = LOOK_UP_SECONDS - self._began_at.seconds_ago()
        return self._ended.wait(max(0.0, min(left, deadline - time.monotonic())))


class Connection:
    """One non-blocking connection with at most one request under way.

    Its owner waits until the socket is ready for ``interest`` and then calls ``establish``, until ``established``;
    after that ``send`` and, whenever the socket is ready again, ``receive`` and ``flush``. Every method raises
    ``OSError`` or ``ProtocolError`` when the connection is of no more use: ``close`` it then.

    Args:
        endpoint: Where to; the next of its addresses that does not refuse at once is used.
        deadline: How long the resolver may take, in seconds of ``time.monotonic``.

    Attributes:
        interest: What to wait for: ``selectors.EVENT_READ``, ``EVENT_WRITE`` or both.
        established: Whether requests can be sent.
        answers: How many answers have been read.
        address: Where it connects to.
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
            if _TCP_USER_TIMEOUT is not None:
                milliseconds = int(UNACKNOWLEDGED_SECONDS * 1000)
                self._socket.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, milliseconds)
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
        except TimeoutError as error:
            raise ConnectionError(_SILENT) from error
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
        except TimeoutError as error:
            raise ConnectionError(_SILENT) from error
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
            except TimeoutError as error:
                # From the system, as there is no time limit on the socket.
                raise ConnectionError(_SILENT) from error
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

    def idled(self, since: float) -> bool:
        """Whether the connection had answered before, but had been unused for so long that it may have gone silent.

        Args:
            since: When the request under way was sent, in seconds of ``time.monotonic``.
        """
        unused = time.time() - self.used_at - (time.monotonic() - since)
        return self.answers > 0 and unused > IDLE_TRUST_SECONDS

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


_TCP_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
_SILENT = "the connection has gone silent"


def _begin_to_connect(endpoint: Endpoint, deadline: float) -> tuple[Address, socket.socket]:
    """Connect to the next address that does not refuse at once, such as one of a family that this machine lacks."""
    while True:
        address = endpoint.address(deadline)
        try:
            return address, _connecting_socket(address)
        except OSError as error:
            if error.errno in _OUT_OF_RESOURCES:
                raise
            endpoint.avoid(address)
            if not endpoint.alternatives:
                raise


def _connecting_socket(address: Address) -> socket.socket:
    connecting = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _check_connecting(connecting.connect_ex(address.socket_address))
    except BaseException:
        connecting.close()
        raise
    return connecting


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

        The request is sent once. Only if a kept-alive connection turns out to be closed, or after some idling silent,
        before any byte of the answer is it sent again, on a new connection: ``Response.resent`` tells that it may have
        been received twice.

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
            now = time.monotonic()
            first_byte_by = min(deadline, now + FIRST_ANSWER_SECONDS) if kept.idled(now) else deadline
            try:
                return self._exchange(kept, message, deadline, first_byte_by)
            except _StaleConnectionError:
                resent = True
        try:
            answer = self._exchange(self._connect(deadline), message, deadline, deadline)
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
        endpoint = self._endpoint
        while True:
            try:
                return self._connect_to_next(deadline)
            except OSError as error:
                if not endpoint.alternatives or time.monotonic() >= deadline:
                    raise TransportError(f"cannot connect to {endpoint.host_header}: {error}", sent=False) from error

    def _connect_to_next(self, deadline: float) -> Connection:
        connection = Connection(self._endpoint, deadline)
        began = time.monotonic()
        give_up_at = min(deadline, began + self._endpoint.connect_seconds)
        has_time = give_up_at - began >= NEXT_ADDRESS_SECONDS
        try:
            while not connection.established:
                _wait(connection, give_up_at)
                connection.establish()
            _check_silence(connection)
        except OSError as error:
            connection.close()
            # An address that had no time to answer is not to blame.
            if has_time or not isinstance(error, TimeoutError):
                self._endpoint.avoid(connection.address)
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    def _exchange(self, connection: Connection, request: bytes, deadline: float, first_byte_by: float) -> Response:
        try:
            connection.send(request)
            while (answer := self._receive(connection, deadline if connection.answering else first_byte_by)) is None:
                pass
        except (OSError, ProtocolError) as error:
            connection.close()
            is_late = isinstance(error, TimeoutError) and first_byte_by < deadline
            closed = is_late or isinstance(error, ConnectionError | ssl.SSLError)
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


def _check_silence(connection: Connection) -> None:
    if not connection.usable():
        raise ConnectionError("the server sent an answer before there was a request")


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
