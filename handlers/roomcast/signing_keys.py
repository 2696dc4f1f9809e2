"""Public keys of an identity provider, from its JSON Web Key Set (RFC 7517).

PyJWT's own client is not used: its time limit holds for each read of a socket, it reads answers of any length, follows
redirects, and keeps nothing while the provider is down.
"""

from __future__ import annotations

import base64
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from roomcast import logs
from roomcast.addresses import Endpoint, TransportError
from roomcast.http_client import HttpClient
from roomcast.kept import Kept, ReadError
from roomcast.steps import drive
from roomcast.strict_json import parse_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FETCH_SECONDS = 2.0
"""From the look-up of the host to the last byte: a client waits in its handshake for so long."""

MAXIMUM_SET_BYTES = 262_144
MAXIMUM_KEYS = 100
"""Providers publish two to ten keys, certificates included some 20 KB."""

RSA_BITS = range(2048, 4096 + 1)
"""Shorter keys can be broken; longer ones cost a CPU for milliseconds at every handshake."""

PORTS = range(1, 65_536)
P256_BYTES = 32
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of private and symmetric keys (RFC 7518, section 6)."""

_URL = re.compile(r"(https?://[^/?#@\s]+)(/[!-\"$-~]*)", re.ASCII)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class Key(NamedTuple):
    """A key, and the one algorithm that it verifies."""

    algorithm: str
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | bytes


class SigningKeys:
    """The keys of a key set.

    Args:
        url: Where the set lies: ``https``, no user and no fragment.
        stale_seconds: How long after they were read keys may be used while they cannot be read again.
        is_loopback_allowed: Whether ``http`` to this machine is fine, too: for tests and emulators.

    Raises:
        ValueError: The URL is not one of these.
    """

    def __init__(self, url: str, stale_seconds: float, *, is_loopback_allowed: bool = False) -> None:
        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError("ROOMCAST_JWT_JWKS_URL is no URL of the form https://host[:port]/path, without a user")
        self._endpoint = _ProviderEndpoint(match[1])
        if self._endpoint.port not in PORTS:
            raise ValueError("ROOMCAST_JWT_JWKS_URL names a port that does not exist")
        if not self._endpoint.tls and not (is_loopback_allowed and self._endpoint.host in {"127.0.0.1", "localhost"}):
            raise ValueError("ROOMCAST_JWT_JWKS_URL must begin with https://")
        self._request = (
            f"GET {match[2]} HTTP/1.1\r\nHost: {self._endpoint.host_header}\r\nAccept: application/json\r\n"
            "User-Agent: roomcast\r\nConnection: close\r\n\r\n"
        ).encode()
        self._kept: Kept[dict[str, Key]] = Kept(self._read, stale_seconds)

    def find(self, key_id: str | None, deadline: float) -> Sequence[Key]:
        """The key of that id, or nothing.

        An unknown id has the set read again, if the last attempt was long enough ago: providers should publish a key
        some minutes before they use it.

        Args:
            key_id: ``kid`` of a token, if it has one.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            UnavailableError: There are no keys.
        """
        keys = self._kept.get(deadline)
        if key_id is not None and key_id not in keys and self._kept.refresh(deadline):
            keys = self._kept.get(deadline)
        return [keys[key_id]] if key_id is not None and key_id in keys else []

    def _read(self, deadline: float) -> dict[str, Key]:
        return keys_of(self._fetch(min(deadline, time.monotonic() + FETCH_SECONDS)))

    def _fetch(self, deadline: float) -> bytes:
        client = HttpClient(self._endpoint)
        try:
            answer = drive(client.exchange(self._request, deadline))
        except TransportError as error:
            raise ReadError("no answer") from error
        finally:
            client.close()
        if answer.status != 200:
            raise ReadError("a status that is not 200")
        if len(answer.body) > MAXIMUM_SET_BYTES:
            raise ReadError("the key set is too large")
        return answer.body


class _ProviderEndpoint(Endpoint):
    """A host with a certificate from any of the system's authorities."""

    # Framing included: a set that comes in single bytes has six times its size.
    maximum_answer_bytes = 2 * MAXIMUM_SET_BYTES
    trusts_system = True


def keys_of(data: bytes) -> dict[str, Key]:
    """The usable keys of a set, by their ids.

    Args:
        data: The set's JSON text.

    Raises:
        ReadError: It is no key set, or one with too many keys.
    """
    try:
        entries = parse_object(data).get("keys")
    except (ValueError, RecursionError) as error:
        raise ReadError("no JSON object") from error
    if not isinstance(entries, list):
        raise ReadError("no key set")
    if len(entries) > MAXIMUM_KEYS:
        raise ReadError("the key set has too many keys")
    objects = [entry for entry in entries if isinstance(entry, dict)]
    private = [entry for entry in objects if not PRIVATE_MEMBERS.isdisjoint(entry)]
    if private:
        logs.write("ERROR", "private_keys_published", keys=len(private))
    # An id on two entries names neither.
    uses = Counter(entry["kid"] for entry in objects if isinstance(entry.get("kid"), str))
    found = {entry["kid"]: _key(entry) for entry in objects if entry not in private and _is_named_once(entry, uses)}
    return {key_id: key for key_id, key in found.items() if key is not None}


def _is_named_once(entry: Mapping[str, Any], uses: Mapping[str, int]) -> bool:
    key_id = entry.get("kid")
    return isinstance(key_id, str) and key_id != "" and uses[key_id] == 1


def _key(entry: Mapping[str, Any]) -> Key | None:
    """The key of an entry, if it is one to verify signatures with (RFC 7517, section 4; RFC 7518, section 6)."""
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        if entry.get("kty") == "RSA" and entry.get("alg", "RS256") == "RS256":
            return Key("RS256", _rsa_key(entry))
        if entry.get("kty") == "EC" and entry.get("crv") == "P-256" and entry.get("alg", "ES256") == "ES256":
            return Key("ES256", _p256_key(entry))
    except ValueError:
        # No number, or cryptography refuses it: a point that is not on the curve, for example.
        return None
    return None


def _rsa_key(entry: Mapping[str, Any]) -> rsa.RSAPublicKey:
    modulus, exponent = (int.from_bytes(_bytes(entry, name)) for name in ("n", "e"))
    if modulus.bit_length() not in RSA_BITS:
        raise ValueError("too short or too long")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _p256_key(entry: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    x, y = (_bytes(entry, name) for name in ("x", "y"))
    if len(x) != P256_BYTES or len(y) != P256_BYTES:
        raise ValueError("not the size of the curve")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1()).public_key()


def _bytes(entry: Mapping[str, Any], name: str) -> bytes:
    text = entry.get(name)
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise ValueError(f"{name} is not base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
