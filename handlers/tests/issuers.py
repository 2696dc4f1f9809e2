"""An identity provider for tests: keys of all kinds, tokens good and bad, and the events that carry them."""

from __future__ import annotations

import base64
import functools
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.fakes import PLANTED

ISSUER = "https://login.example.com/"
AUDIENCE = "roomcast"
METHOD_ARN = "arn:aws:execute-api:eu-west-1:111122223333:abcde12345/live/$connect"
JWKS_URL = "https://login.example.com/.well-known/jwks.json"
ENVIRONMENT = {
    "ROOMCAST_JWT_JWKS_URL": JWKS_URL,
    "ROOMCAST_JWT_SECRET_ARN": "",
    "ROOMCAST_JWT_ISSUER": json.dumps([ISSUER]),
    "ROOMCAST_JWT_AUDIENCE": json.dumps([AUDIENCE]),
    "ROOMCAST_JWT_TOKEN_FROM": json.dumps(["header", "subprotocol", "query"]),
}


def rsa_key(bits: int = 2048, index: int = 0) -> rsa.RSAPrivateKey:
    """One of the issuer's RSA keys."""
    return _rsa_key(bits, index)


@functools.cache
def _rsa_key(bits: int, _index: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, bits)


@functools.cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    """The issuer's key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    """A number of a key, in its shortest form or a size in bytes."""
    return encoded(value.to_bytes(size or (value.bit_length() + 7) // 8))


def rsa_entry(key_id: object = "rsa", bits: int = 2048, index: int = 0, **members: object) -> dict[str, Any]:
    """An RSA key's entry of a key set."""
    numbers = rsa_key(bits, index).public_key().public_numbers()
    return {"kty": "RSA", "kid": key_id, "n": number(numbers.n), "e": number(numbers.e), **members}


def ec_entry(key_id: object = "ec", **members: object) -> dict[str, Any]:
    """A P-256 key's entry of a key set."""
    numbers = ec_key().public_key().public_numbers()
    return {
        "kty": "EC",
        "kid": key_id,
        "crv": "P-256",
        "x": number(numbers.x, 32),
        "y": number(numbers.y, 32),
        **members,
    }


def key_set(*entries: object) -> bytes:
    """A key set's JSON text."""
    return json.dumps({"keys": list(entries)}).encode()


def claims(**changed: object) -> dict[str, Any]:
    """Claims of a good token; ``None`` takes one away, and ``("now", 5)`` is a date in five seconds."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300, "rooms": ["lobby"]}
    good["email"] = PLANTED
    dated = {name: now + value[1] if isinstance(value, tuple) else value for name, value in changed.items()}
    return {name: value for name, value in {**good, **dated}.items() if value is not None}


def token(algorithm: str = "RS256", headers: dict[str, Any] | None = None, **changed: object) -> str:
    """A token, good but for the given changes."""
    key: Any = rsa_key() if algorithm == "RS256" else ec_key()
    key_id = {"kid": "rsa" if algorithm == "RS256" else "ec"}
    return jwt.encode(claims(**changed), key, algorithm, headers={**key_id, **(headers or {})})


def signed(header: str | bytes, payload: str | bytes) -> str:
    """A token of any texts, with a right signature by the RSA key."""
    parts = [part.encode() if isinstance(part, str) else part for part in (header, payload)]
    message = ".".join(map(encoded, parts))
    algorithm = jwt.get_algorithm_by_name("RS256")
    return f"{message}.{encoded(algorithm.sign(message.encode(), rsa_key()))}"


def event(*, headers: dict[str, list[str]] | None = None, query: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """API Gateway's event for the authorizer, with all values of headers and parameters."""
    return {
        "type": "REQUEST",
        "methodArn": METHOD_ARN,
        "headers": {name: values[-1] for name, values in (headers or {}).items()},
        "multiValueHeaders": headers or {},
        "queryStringParameters": {name: values[-1] for name, values in (query or {}).items()},
        "multiValueQueryStringParameters": query or {},
        "requestContext": {
            "routeKey": "$connect",
            "eventType": "CONNECT",
            "connectionId": "L0SM9cOFvHcCIhw=",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        },
    }


def bearer(text: str) -> dict[str, Any]:
    """The event of a handshake with a token in ``Authorization``."""
    return event(headers={"Authorization": [f"Bearer {text}"]})
