"""JSON Web Tokens of clients: where they stand in a handshake, and which of them are good (RFC 7519, RFC 8725)."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jwt

from roomcast.identity import LEEWAY_SECONDS, is_subject
from roomcast.kept import UnavailableError
from roomcast.strict_json import parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roomcast.jwt_settings import JwtSettings
    from roomcast.signing_keys import Key

MAXIMUM_TOKEN_CHARACTERS = 8192
"""API Gateway takes no more than 10,240 bytes of headers: a longer token cannot come."""

MAXIMUM_DATE = 2**53
"""Dates in JSON are exact up to here (RFC 7519, NumericDate); PyJWT takes 1e308, with which no function can reckon."""

SUBPROTOCOL = "roomcast.bearer."

_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_BEARER = re.compile(r"bearer (.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_BLANKS = " \t"

_NOT_SUPPORTED = frozenset({"crit", "b64", "zip"})
"""Header parameters that change how the token is read."""

_TYPES = frozenset({"jwt", "at+jwt"})

_REASONS: Sequence[tuple[type[Exception], str]] = (
    (jwt.ExpiredSignatureError, "expired"),
    (jwt.ImmatureSignatureError, "not yet valid"),
    (jwt.InvalidAlgorithmError, "algorithm"),
    (jwt.InvalidIssuerError, "issuer"),
    (jwt.MissingRequiredClaimError, "claim missing"),
    (jwt.InvalidTokenError, "unreadable"),
)
"""PyJWT's errors in our words: its own repeat parts of the token."""


class RefusedError(Exception):
    """The token is not good; the message is one of a closed list, without any text of the token."""


class Keys(Protocol):
    """Finds the keys that may have signed a token."""

    def find(self, key_id: str | None, deadline: float) -> Sequence[Key]:
        """Keys to try, for the token's ``kid`` and a deadline in seconds of ``time.monotonic``."""


class Grant(NamedTuple):
    """Result of a good token.

    Attributes:
        subject: Who the client is.
        rooms: The claim with the rights in rooms, or the default for a missing one.
        expires_at: ``exp`` in whole seconds of Unix time.
    """

    subject: str
    rooms: object
    expires_at: int


class Verifier:
    """Checks the tokens of handshakes.

    Args:
        settings: Which tokens are good.
        keys: Keys that sign them.
    """

    def __init__(self, settings: JwtSettings, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys

    def verify(self, event: Mapping[str, Any], deadline: float) -> Grant:
        """Check the one token of a handshake.

        Args:
            event: API Gateway's event of a REQUEST authorizer.
            deadline: Latest end of reading keys, in seconds of ``time.monotonic``.

        Raises:
            RefusedError: There is no good token.
            UnavailableError: There are no keys.
            Exception: Hostile input may find further ones in libraries; the token is not good.
        """
        token = token_of(event, self._settings.token_from)
        key_id = _key_id(parse_object(_decoded(token.partition(".")[0])))
        keys = self._find(key_id, deadline)
        if not keys:
            raise RefusedError("unknown key")
        self._verify_with_any(token, keys)
        # From the same bytes that were verified, and read more strictly than PyJWT reads them.
        return grant_of(parse_object(_decoded(token.split(".")[1])), self._settings)

    def _find(self, key_id: str | None, deadline: float) -> Sequence[Key]:
        try:
            return self._keys.find(key_id, deadline)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - it says nothing about the token, which a refusal would
            problem = f"unexpected {type(error).__name__}"
        # Not from within the handler: the error may repeat parts of a key.
        raise UnavailableError(problem)

    def _verify_with_any(self, token: str, keys: Sequence[Key]) -> None:
        refusal = RefusedError("signature")
        for key in keys:
            try:
                return self._verify_with(token, key)
            except jwt.InvalidSignatureError:
                continue
            except jwt.PyJWTError as error:
                refusal = RefusedError(_reason(error))
                break
        # Not from within the handler: PyJWT's error repeats parts of the token.
        raise refusal

    def _verify_with(self, token: str, key: Key) -> None:
        """Verify signature, dates and issuer; the other claims are read by ``grant_of``."""
        jwt.decode(
            token,
            key.key,
            # The key's own: the token's header says nothing about how it is verified.
            algorithms=[key.algorithm],
            issuer=self._settings.issuer,
            leeway=LEEWAY_SECONDS,
            options={
                "enforce_minimum_key_length": True,
                "require": ["exp", "iss", self._settings.audience_claim, self._settings.subject_claim],
                "verify_aud": False,
                "verify_jti": False,
                "verify_sub": False,
            },
        )


def token_of(event: Mapping[str, Any], places: frozenset[str]) -> str:
    """The one token of a handshake, of the right form.

    Raises:
        RefusedError: ``no token``, ``several tokens`` or ``form``.
    """
    found = [
        *(_from_header(event) if "header" in places else ()),
        *(_from_subprotocol(event) if "subprotocol" in places else ()),
        *(_from_query(event) if "query" in places else ()),
    ]
    if len(found) != 1:
        raise RefusedError("several tokens" if found else "no token")
    token: str | None = found[0]
    if token is None or len(token) > MAXIMUM_TOKEN_CHARACTERS or not _TOKEN.fullmatch(token):
        raise RefusedError("form")
    return token


def _from_header(event: Mapping[str, Any]) -> Iterator[str | None]:
    """Tokens in ``Authorization``; ``None`` for credentials of another scheme."""
    for value in _values(event, "Headers", "authorization"):
        if value.strip(_BLANKS):
            match = _BEARER.fullmatch(value)
            yield match[1] if match else None


def _from_subprotocol(event: Mapping[str, Any]) -> Iterator[str]:
    for value in _values(event, "Headers", "sec-websocket-protocol"):
        for offer in value.split(","):
            if offer.strip(_BLANKS).startswith(SUBPROTOCOL):
                yield offer.strip(_BLANKS).removeprefix(SUBPROTOCOL)


def _from_query(event: Mapping[str, Any]) -> Iterator[str]:
    return (value for value in _values(event, "QueryStringParameters", "token", lower=False) if value)


def _values(event: Mapping[str, Any], kind: str, wanted: str, *, lower: bool = True) -> Iterator[str]:
    """All values of a header or parameter, in every spelling of its name if case does not matter."""
    many = event.get(f"multiValue{kind}")
    if not many:
        many = {name: [value] for name, value in (event.get(kind[0].lower() + kind[1:]) or {}).items()}
    for name, values in many.items():
        if (name.lower() if lower else name) == wanted:
            yield from (value for value in values or () if value is not None)


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _key_id(header: Mapping[str, Any]) -> str | None:
    """``kid`` of a token's header, for a look-up; nothing else in the header is used."""
    if not _NOT_SUPPORTED.isdisjoint(header):
        raise RefusedError("header")
    if "typ" in header and str(header["typ"]).lower() not in _TYPES:
        raise RefusedError("header")
    key_id = header.get("kid", "")
    if not isinstance(key_id, str):
        raise RefusedError("header")
    return key_id or None


def grant_of(claims: Mapping[str, Any], settings: JwtSettings) -> Grant:
    """Read the claims of a token whose signature, dates and issuer are right.

    Raises:
        RefusedError: ``date``, ``lifetime``, ``audience`` or ``subject``.
    """
    dates = {name: _date(claims[name]) for name in ("exp", "nbf", "iat") if name in claims}
    longest = settings.max_lifetime_seconds
    if longest is not None and not ("iat" in dates and dates["exp"] - dates["iat"] <= longest):
        raise RefusedError("lifetime")
    if not _is_for_us(claims[settings.audience_claim], settings.audience):
        raise RefusedError("audience")
    subject = claims[settings.subject_claim]
    if not is_subject(subject):
        raise RefusedError("subject")
    rooms = claims.get(settings.rooms_claim, settings.default_rooms or [])
    return Grant(subject, rooms, int(dates["exp"]))


def _date(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAXIMUM_DATE:
        raise RefusedError("date")
    return value


def _is_for_us(value: object, audience: Sequence[str]) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(each, str) for each in values) and not set(audience).isdisjoint(values)


def _reason(error: Exception) -> str:
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "unreadable")
