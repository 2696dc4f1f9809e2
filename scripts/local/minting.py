"""Makes tokens: for a developer's own stack, and for tests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Key(Protocol):
    """A key that signs tokens."""

    @property
    def algorithm(self) -> str:
        """Its algorithm, as a token's header names it."""

    @property
    def kid(self) -> str | None:
        """Its id; None for a key without one."""

    def sign(self, message: bytes) -> bytes:
        """Sign a message."""


class SharedSecret:
    """A secret that signs with HS256.

    Args:
        secret: At least 32 bytes.
    """

    algorithm = "HS256"
    kid = None

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, message: bytes) -> bytes:
        """Sign a message."""
        return hmac.digest(self._secret, message, hashlib.sha256)


def encoded(data: bytes) -> str:
    """Return base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def json_part(value: Mapping[str, Any]) -> str:
    """Return a header or claims as a part of a token."""
    return encoded(json.dumps(value).encode())


def signed(key: Key, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
    """Return a token.

    Args:
        key: Signs it.
        claims: Its claims.
        header: Members of the header besides ``alg``, ``typ`` and ``kid``, or other values of these; None leaves a
            member out.
    """
    usual = {"alg": key.algorithm, "typ": "JWT", "kid": key.kid, **(header or {})}
    present = {name: value for name, value in usual.items() if value is not None}
    message = f"{json_part(present)}.{json_part(claims)}"
    return f"{message}.{encoded(key.sign(message.encode()))}"
