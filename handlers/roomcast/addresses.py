"""Endpoints: where requests go. A base URL, the addresses behind its host, and TLS settings."""

from __future__ import annotations

import functools
import os
import re
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast import authorities
from roomcast.http_parser import MAXIMUM_ANSWER_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

ADDRESS_LIFETIME_SECONDS = 5
"""Lifetime of looked-up addresses: AWS answers with a time to live of 5 s, and moves addresses."""

AVOID_SECONDS = 60
"""How long an address that accepted no connection is left out while the host has others: it costs each try a second."""

LOOK_UP_SECONDS = 10.0
"""A look-up that has taken longer is given up and another one begun. The system's resolver waits 5 s for each server:
this leaves time for the second one's answer."""

CONNECT_SECONDS = 3.0
"""How long the last address of a host may take to accept a connection, TLS included. A lost packet is sent again after
1 s: this leaves time for one, and not for the rest of a handler's time."""

NEXT_ADDRESS_SECONDS = 1.0
"""The same for an address while there are others to try: in one Region, an answer takes hundredths of a second."""

HTTP1 = "http/1.1"
HTTP2 = "h2"
"""Protocols as TLS handshakes name them (RFC 7301, RFC 9113)."""

_OFFERING = threading.Lock()
_URL = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::([0-9]{1,5}))?(/[^?#\s]*)?", re.ASCII)
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*/?", re.ASCII)
_ADDRESS = re.compile(r"[0-9.]+|.*:.*", re.ASCII)

_UNKNOWN_AUTHORITY = {2, 18, 19, 20, 21}
"""OpenSSL's verification errors (X509_V_ERR_*) about an issuer that is not at hand, or a certificate without one."""


class TransportError(Exception):
    """No answer: the connection could not be made, broke, timed out or carried something that is not HTTP.

    Args:
        message: The event, in words.
        sent: Whether the server may have received the request.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class UnresolvedError(TransportError):
    """The resolver has not answered yet; the look-up goes on, and a later try finds its result."""

    def __init__(self, host: str) -> None:
        super().__init__(f"cannot resolve {host}: the resolver does not answer", sent=False)


class TrustWidenedError(Exception):
    """Amazon's authorities did not verify a certificate; the endpoint trusts the system's now. Connect again."""


def tls_context(*, is_wide: bool = False) -> ssl.SSLContext:
    """TLS settings of the process: TLS 1.2 or later; certificate and host name are always verified.

    ``AWS_CA_BUNDLE`` (as in AWS SDKs) or else ``SSL_CERT_FILE`` (as in OpenSSL) names a file of certificate
    authorities. Without them Amazon's own are trusted, because reading the system's takes 20 ms of CPU in a cold start.

    Args:
        is_wide: Whether to trust the system's authorities in place of Amazon's.
    """
    bundle, file = os.environ.get("AWS_CA_BUNDLE"), os.environ.get("SSL_CERT_FILE")
    return _tls_context(bundle, file, is_wide=is_wide or bool(bundle or file))


@functools.lru_cache(maxsize=2)  # reading authorities is slow, and a session is resumed under the same settings only
def _tls_context(bundle: str | None, _ssl_cert_file: str | None, *, is_wide: bool) -> ssl.SSLContext:
    amazon = None if is_wide else authorities.AMAZON
    context = ssl.create_default_context(cafile=bundle or None, cadata=amazon)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # overrides Python's build and OpenSSL's configuration
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


class Address(NamedTuple):
    """Peer of a socket: an address family, and an address as that family writes it."""

    family: int
    socket_address: tuple[object, ...]


class Endpoint:
    """Destination of requests: a base URL, the addresses behind it, and the TLS session to resume.

    Args:
        url: Base URL, ``https://`` or, for emulators, ``http://``; its path goes before that of every request. The path
            must match ``(/[A-Za-z0-9._~-]+)*/?`` and hold no segment ``.`` or ``..``: a path that a proxy normalises,
            encodes or decodes no longer matches its signature.
        protocols: Protocols that the TLS handshake offers (ALPN), first choice first.

    Attributes:
        maximum_answer_bytes: Size limit of an answer.
        trusts_system: Whether to trust the system's authorities from the start, in place of Amazon's.

    Raises:
        OSError: The file of authorities that the environment names cannot be read.
        ValueError: The URL is not one of these.
    """

    maximum_answer_bytes = MAXIMUM_ANSWER_BYTES
    trusts_system = False

    def __init__(self, url: str, protocols: Sequence[str] = (HTTP1,)) -> None:
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
        self._protocols = list(protocols)
        # Made when a function starts, so that its first event does not wait for 3 ms of CPU, or 20 ms for the system's.
        self._context = tls_context(is_wide=self.trusts_system) if self.tls else None
        self.session: ssl.SSLSession | None = None
        self._addresses: list[Address] = []
        self._resolved_at: Moment = LONG_AGO
        self._look_up: _LookUp | None = None
        self._avoided: dict[Address, Moment] = {}
        self._next = 0

    def wrap(self, connected: socket.socket) -> ssl.SSLSocket:
        """Put TLS on a connected socket, resuming the last session; the handshake is still to be done."""
        # A session can be resumed only under the settings that it was made with.
        assert self._context is not None
        with _OFFERING:
            # The process has one context, because reading the authorities takes long; sockets copy its ALPN list.
            self._context.set_alpn_protocols(self._protocols)
            return self._context.wrap_socket(
                connected, server_hostname=_bytes_of(self.host), do_handshake_on_connect=False, session=self.session
            )

    def widen_trust(self, used: ssl.SSLContext, error: ssl.SSLCertVerificationError) -> bool:
        """Trust the system's certificate authorities, if Amazon's did not know a certificate's.

        Args:
            used: The settings that the certificate was verified under.
            error: The result.

        Returns:
            Whether another connection may succeed for it.
        """
        if error.verify_code not in _UNKNOWN_AUTHORITY:
            return False
        wide = tls_context(is_wide=True)
        if used is wide:
            return False
        self._context, self.session = wide, None
        return True

    def addresses(self, deadline: float = float("inf")) -> int:
        """Count the addresses that may be tried; they are looked up again every ``ADDRESS_LIFETIME_SECONDS``.

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
            # When all are avoided, all are tried again.
            self._addresses = [address for address in found if address not in self._avoided] or found
        return len(self._addresses)

    def address(self, deadline: float = float("inf")) -> Address:
        """The address for the next connection: the host's addresses in turn; raises as ``addresses`` does."""
        index = self._next % self.addresses(deadline)
        self._next = index + 1
        return self._addresses[index]

    @property
    def alternatives(self) -> bool:
        """Whether an address is left that has not failed to accept a connection."""
        return bool(self._addresses)

    @property
    def connect_seconds(self) -> float:
        """How long an address may take to accept a connection, TLS included."""
        return NEXT_ADDRESS_SECONDS if len(self._addresses) > 1 else CONNECT_SECONDS

    def avoid(self, address: Address) -> None:
        """Leave out an address that accepts no connection. After the last one, all are looked up again."""
        if address in self._addresses:
            # The addresses behind it move up by one: the turn must not skip one of them.
            self._next -= self._addresses.index(address) < self._next
            self._addresses.remove(address)
            self._avoided[address] = Moment()
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
        self._resolved_at = look_up.ended_at or LONG_AGO
        return look_up.found


class Moment:
    """A moment to measure from, by two clocks: while Lambda freezes a process, one of them may stand still."""

    __slots__ = ("_monotonic", "_wall")

    def __init__(self) -> None:
        self._monotonic = time.monotonic()
        self._wall = time.time()

    def seconds_ago(self) -> float:
        """How long ago it was."""
        return max(time.monotonic() - self._monotonic, time.time() - self._wall)


class _LongAgo(Moment):
    def seconds_ago(self) -> float:
        return float("inf")


LONG_AGO = _LongAgo()
"""Before anything that has happened."""


def _bytes_of(host: str) -> bytes:
    """A host as bytes: of a text Python would make them with a codec that takes 2 ms of CPU to import."""
    return host.encode("ascii")


class _LookUp:
    """One look-up of a host's addresses, in a thread of its own, because the system's resolver takes no deadline.

    Attributes:
        found: The addresses.
        error: Why there are none.
        ended_at: When the resolver answered, if it has.
    """

    def __init__(self, host: str, port: int) -> None:
        self.found: list[Address] = []
        self.error: Exception | None = None
        self.ended_at: Moment | None = None
        self._began_at = Moment()
        self._ended = threading.Event()
        if _ADDRESS.fullmatch(host):
            self._run(host, port)  # an address needs no look-up, and no thread
        else:
            # A daemon, because a resolver that hangs must not keep the process alive.
            threading.Thread(target=self._run, args=(host, port), daemon=True).start()

    def _run(self, host: str, port: int) -> None:
        try:
            answers = socket.getaddrinfo(_bytes_of(host), port, type=socket.SOCK_STREAM)
            self.found = list(dict.fromkeys(Address(family, address) for family, _, _, _, address in answers))
            if not answers:
                self.error = OSError("it has no address")
        except (OSError, UnicodeError) as error:
            self.error = error
        finally:
            self.ended_at = Moment()
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
