"""Keys that sign tokens, with their public parts as a JWKS lists them."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from scripts.local.minting import encoded

P256_BYTES = 32
"""Length of each half of an ES256 signature (RFC 7518, section 3.4)."""


def number(value: int) -> str:
    """Return an integer as keys carry it (RFC 7518, section 2)."""
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class RsaKey:
    """A key that signs with RS256.

    Args:
        kid: The key's id.
    """

    algorithm = "RS256"

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwk(self) -> dict[str, str]:
        """Return the public key as a JWKS lists it."""
        public = self._private.public_key().public_numbers()
        return {"kty": "RSA", "use": "sig", "kid": self.kid, "n": number(public.n), "e": number(public.e)}

    def pem(self) -> bytes:
        """Return the public key as text, which a verifier that trusts the header would use as a shared secret."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._private.public_key().public_bytes(serialization.Encoding.PEM, form)

    def sign(self, message: bytes) -> bytes:
        """Sign a message."""
        return self._private.sign(message, padding.PKCS1v15(), hashes.SHA256())


class EcKey:
    """A key that signs with ES256.

    Args:
        kid: The key's id.
    """

    algorithm = "ES256"

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self._private = ec.generate_private_key(ec.SECP256R1())

    def jwk(self) -> dict[str, str]:
        """Return the public key as a JWKS lists it."""
        public = self._private.public_key().public_numbers()
        x, y = (encoded(value.to_bytes(P256_BYTES, "big")) for value in (public.x, public.y))
        return {"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid, "x": x, "y": y}

    def sign(self, message: bytes) -> bytes:
        """Sign a message; both halves of the signature have their full length."""
        halves = decode_dss_signature(self._private.sign(message, ec.ECDSA(hashes.SHA256())))
        return b"".join(half.to_bytes(P256_BYTES, "big") for half in halves)
