"""Tokens: valid ones, and forgeries that no library would make."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from scripts.local.minting import signed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.local.minting import Key

ISSUER = "https://identity.example/"
AUDIENCE = "roomcast-tests"
LIFETIME_SECONDS = 600


def claims(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any claim
    """Return claims that are valid now, for all rooms; a change to ``None`` leaves the claim out."""
    now = int(time.time())
    valid = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + LIFETIME_SECONDS, "rooms": ["*"]}
    return {name: value for name, value in {**valid, **changes}.items() if value is not None}


def token(key: Key, header: Mapping[str, Any] | None = None, **changes: Any) -> str:  # noqa: ANN401
    """Sign claims that are valid now, but for some changes.

    Args:
        key: Signs the token.
        header: As of :func:`scripts.local.minting.signed`.
        **changes: As :func:`claims` has them.
    """
    return signed(key, claims(**changes), header)
