"""AWS Signature Version 4, for many requests that differ only in the last part of their path.

All parts that such requests share are computed once per second, the resolution of ``X-Amz-Date``; the signing key, once
per credentials and day. Each request then costs three SHA-256 blocks and one concatenation. See "Create a signed AWS
API request" in the IAM user guide.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_QUOTED = [chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256)]
_INNER_PADDING = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PADDING = bytes(byte ^ 0x5C for byte in range(256))
_SHA256_BLOCK_BYTES = 64


def quote(text: str) -> bytes:
    """Percent-encode everything but RFC 3986's unreserved characters, the slash included."""
    bare = text.encode("ascii", "replace").rstrip(b"=")
    if bare.isalnum() or not bare.translate(None, _UNRESERVED):
        # An id of API Gateway: there is nothing to encode but its padding.
        return bare + b"%3D" * (len(text) - len(bare))
    return "".join(map(_QUOTED.__getitem__, text.encode("utf-8", "surrogatepass"))).encode()


class Credentials(NamedTuple):
    """Credentials of the function's role; temporary ones carry a session token."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    @classmethod
    def from_environment(cls) -> Credentials:
        """Read the credentials of this moment: Lambda may replace them while an environment is warm.

        Raises:
            KeyError: AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set.
        """
        environment = os.environ
        return cls(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN") or None,
        )


class Signer:
    """Signs requests to one service in one region.

    Args:
        service: signing name, such as ``execute-api`` or ``dynamodb``.
        region: such as ``eu-central-1``.
    """

    def __init__(self, service: str, region: str) -> None:
        self.service = service
        self.region = region
        self._key_of: tuple[str, str] | None = None
        self._key = b""

    def key(self, secret_access_key: str, day: str) -> bytes:
        """Return the signing key of a day (``YYYYMMDD``); the last one is kept."""
        if self._key_of != (secret_access_key, day):
            key = f"AWS4{secret_access_key}".encode()
            for part in (day, self.region, self.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key_of, self._key = (secret_access_key, day), key
        return self._key


class SignedRequests:
    """Requests with one method, host, headers and body, to any number of paths.

    Args:
        signer: of the service the requests go to.
        credentials: they hold for all the requests made by this object.
        method: HTTP method.
        host: value of the Host header, with the port unless it is the scheme's own.
        path: the part of the path that all requests share, as it goes over the wire.
        headers: further headers; all are signed. Names and values must not contain line breaks.
        body: sent with every request, at most some megabytes.

    Attributes:
        path: as the argument.
        headers: of the last request signed, but for the two below.
        content_length: value of the Content-Length header.
        authorization: value of the Authorization header of the last request signed, without its signature.
        encodings: parts of HTTP/2 header blocks, kept by ``hpack.Encoder`` for as long as ``headers`` are the same.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a request has that many parts
        self,
        signer: Signer,
        credentials: Credentials,
        method: str,
        host: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        self._signer = signer
        self._credentials = credentials
        self.path = path
        self.content_length = len(body)
        self.authorization = ""
        self.encodings: dict[str, tuple[bytes, bytes, bytes]] = {}
        self._start_line = f"{method} {path}".encode()
        self._end = b"\r\n\r\n" + body
        # The canonical path is the path on the wire, percent-encoded once more but for the slash.
        self._canonical_start = f"{method}\n".encode() + quote(path).replace(b"%2F", b"/")
        self.headers = {"Host": host, "X-Amz-Date": "", **headers}
        if credentials.session_token is not None:
            self.headers["X-Amz-Security-Token"] = credentials.session_token
        self._payload_hash = hashlib.sha256(body).hexdigest()
        self._second = -1

    def request(self, segment: str = "") -> bytes:
        """Return a whole request, signed as of now, for the shared path and an unquoted ``segment``."""
        quoted, signature = self.sign(segment)
        return b"".join((self._start_line, quoted, self._rest, signature, self._end))

    def sign(self, segment: str) -> tuple[bytes, bytes]:
        """Return an unquoted ``segment`` as it goes over the wire, and the signature as of now of the request to it."""
        second = int(time.time())
        if second != self._second:
            self._prepare(second)
        quoted = quote(segment)
        canonical_request = self._canonical_request.copy()
        canonical_request.update(quoted.replace(b"%", b"%25") + self._canonical_rest)
        inner = self._inner.copy()
        inner.update(canonical_request.hexdigest().encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return quoted, outer.hexdigest().encode()

    def _prepare(self, second: int) -> None:
        """Compute the parts that all requests of this second (Unix time) share."""
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        day = now[:8]
        headers = self.headers
        headers["X-Amz-Date"] = now
        canonical = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        names = ";".join(sorted(canonical))
        lines = "".join(f"{name}:{canonical[name]}\n" for name in sorted(canonical))
        self._canonical_request = hashlib.sha256(self._canonical_start)
        self._canonical_rest = f"\n\n{lines}\n{names}\n{self._payload_hash}".encode()

        scope = f"{day}/{self._signer.region}/{self._signer.service}/aws4_request"
        key = self._signer.key(self._credentials.secret_access_key, day).ljust(_SHA256_BLOCK_BYTES, b"\0")
        # HMAC spelled out: copying two SHA-256 states costs less than half as much as OpenSSL's HMAC.
        self._inner = hashlib.sha256(key.translate(_INNER_PADDING))
        self._inner.update(f"AWS4-HMAC-SHA256\n{now}\n{scope}\n".encode())
        self._outer = hashlib.sha256(key.translate(_OUTER_PADDING))

        self.authorization = (
            f"AWS4-HMAC-SHA256 Credential={self._credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature="
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        length = f"Content-Length: {self.content_length}"
        self._rest = f" HTTP/1.1\r\n{lines}{length}\r\nAuthorization: {self.authorization}".encode()
        self.encodings.clear()
        self._second = second
