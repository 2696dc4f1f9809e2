"""Configuration of the authorizer: the environment variables that Terraform sets on it. Lists are JSON texts."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

PLACES = ("header", "subprotocol", "query")
"""Where a client may put its token."""


class JwtSettings(NamedTuple):
    """Which tokens are good, and where they are read from.

    Attributes:
        jwks_url: URL of the JSON Web Key Set; empty with a secret.
        secret_arn: ARN of the secret in Secrets Manager; empty with a key set.
        issuer: Values of ``iss``, one of which a token must have.
        audience: Values of the audience claim, one of which a token must have.
        audience_claim: Name of the audience claim.
        subject_claim: Name of the claim that tells who the client is.
        rooms_claim: Name of the claim with the rights in rooms.
        default_rooms: Patterns of rooms for a token without that claim; ``None`` for no rooms.
        max_lifetime_seconds: Longest time from ``iat`` to ``exp``; ``None`` for any.
        stale_keys_minutes: How long keys are used while they cannot be read again.
        token_from: Some of ``PLACES``.
        is_loopback_allowed: Whether the key set may be read without TLS, from this machine.
    """

    jwks_url: str
    secret_arn: str
    issuer: tuple[str, ...]
    audience: tuple[str, ...]
    audience_claim: str
    subject_claim: str
    rooms_claim: str
    default_rooms: list[str] | None
    max_lifetime_seconds: int | None
    stale_keys_minutes: int
    token_from: frozenset[str]
    is_loopback_allowed: bool


def from_environment() -> JwtSettings:
    """Read the settings.

    Raises:
        ValueError: A variable has no valid value, or not exactly one of key set and secret is given; it names the
            variable.
    """
    jwks_url, secret_arn = _text("JWKS_URL"), _text("SECRET_ARN")
    if bool(jwks_url) == bool(secret_arn):
        raise ValueError("exactly one of ROOMCAST_JWT_JWKS_URL and ROOMCAST_JWT_SECRET_ARN must be set")
    settings = JwtSettings(
        jwks_url=jwks_url,
        secret_arn=secret_arn,
        issuer=tuple(_texts("ISSUER") or ()),
        audience=tuple(_texts("AUDIENCE") or ()),
        audience_claim=_text("AUDIENCE_CLAIM") or "aud",
        subject_claim=_text("SUBJECT_CLAIM") or "sub",
        rooms_claim=_text("ROOMS_CLAIM") or "rooms",
        default_rooms=_texts("DEFAULT_ROOMS"),
        max_lifetime_seconds=_number("MAX_LIFETIME_SECONDS"),
        stale_keys_minutes=_number("STALE_KEYS_MINUTES", 60) or 0,
        token_from=frozenset(_texts("TOKEN_FROM") or PLACES[:2]),
        is_loopback_allowed=_text("LOOPBACK") == "true",
    )
    for name, values in (("ISSUER", settings.issuer), ("AUDIENCE", settings.audience)):
        # Without a value, tokens that were made for another service would be taken.
        if not all(values) or not values:
            raise ValueError(f"ROOMCAST_JWT_{name} must be a list of texts, and not empty")
    if not settings.token_from.issubset(PLACES):
        raise ValueError(f"ROOMCAST_JWT_TOKEN_FROM must be a list of some of {', '.join(PLACES)}")
    return settings


def _text(name: str) -> str:
    return os.environ.get(f"ROOMCAST_JWT_{name}", "")


def _texts(name: str) -> list[str] | None:
    """A list of texts; ``None`` for a variable that is missing, empty or ``null``."""
    try:
        value = json.loads(_text(name) or "null")
    except ValueError:
        value = False
    if value is not None and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise ValueError(f"ROOMCAST_JWT_{name} must be a JSON list of texts")
    return value


def _number(name: str, default: int | None = None) -> int | None:
    text = _text(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"ROOMCAST_JWT_{name} must be a whole number from 0")
    return int(text)
