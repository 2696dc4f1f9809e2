"""Tokens: valid ones, and forgeries that no library would make."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

from integration_tests.security.keys import EcKey, RsaKey, encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

ISSUER = "https://identity.example/"
AUDIENCE = "roomcast-tests"
LIFETIME_SECONDS = 600


def json_part(value: Mapping[str, Any]) -> str:
    """Return a header or claims as a part of a token."""
    return encoded(json.dumps(value).encode())


def claims(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any claim
    """Return claims that are valid now, for all rooms; a change to ``None`` leaves the claim out."""
    now = int(time.time())
    valid = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + LIFETIME_SECONDS, "rooms": ["*"]}
    return {name: value for name, value in {**valid, **changes}.items() if value is not None}


def token(key: RsaKey | EcKey | SharedSecret, header: Mapping[str, Any] | None = None, **changes: Any) -> str:  # noqa: ANN401
    """Sign claims that are valid now, but for some changes.

    Args:
        key: Signs the token.
        header: Members of the header besides ``alg``, ``typ`` and ``kid``, or other values of these; ``None`` leaves a
            member out.
        **changes: As :func:`claims` has them.
    """
    usual = {"alg": key.algorithm, "typ": "JWT", "kid": key.kid, **(header or {})}
    present = {name: value for name, value in usual.items() if value is not None}
    signed = f"{json_part(present)}.{json_part(claims(**changes))}"
    return f"{signed}.{encoded(key.sign(signed.encode()))}"


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
