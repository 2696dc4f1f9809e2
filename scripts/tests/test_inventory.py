"""The packages in a zip: all of them are known, and so is an OpenSSL within them."""

from __future__ import annotations

import json

import pytest

from scripts.lambda_zip import zip_bytes
from scripts.security.inventory import InventoryError, Package, Part, packages

METADATA = (
    b"Metadata-Version: 2.4\nName: My.Crypto\nVersion: 50.0\nLicense-Expression: MIT\n\nLicense: a word of the text\n"
)
LIST = json.dumps(
    {"components": [{"name": "openssl", "version": "4.0.3", "purl": "pkg:generic/openssl@4.0.3"}]}
).encode()
SHARED = b"\0\0OpenSSL 4.0.3 29 Sep 2026\0\0"
CRYPTO = {
    "authorizer.py": b"",
    "my_crypto-50.0.dist-info/METADATA": METADATA,
    "my_crypto-50.0.dist-info/sboms/sbom.json": LIST,
    "my_crypto/rust.abi3.so": SHARED,
}
LOCKED = {"my-crypto": "50.0"}


def test_a_package_is_read_with_what_was_compiled_into_it() -> None:
    part = Part("openssl", "4.0.3", "pkg:generic/openssl@4.0.3")

    assert packages(zip_bytes(CRYPTO), LOCKED) == [Package("my-crypto", "50.0", "MIT", (part,))]


def test_a_zip_of_ours_alone_has_none() -> None:
    assert packages(zip_bytes({"connect.py": b"", "roomcast/rooms.py": b""}), {}) == []


@pytest.mark.parametrize(
    ("changes", "locked", "told"),
    [
        ({"my_crypto-50.0.dist-info/sboms/sbom.json": b"{}"}, LOCKED, "OpenSSL 4.0.3 is compiled in"),
        ({"other.so": b"OpenSSL 1.1.1w 11 Sep 2023"}, LOCKED, "OpenSSL 1.1.1w is compiled in"),
        ({"six-1.dist-info/METADATA": b"Name: six\nVersion: 1\n"}, LOCKED, "six"),
        ({}, {}, "its lock names none"),
        ({}, {"my-crypto": "51.0"}, "51.0"),
        ({}, {**LOCKED, "six": "1"}, "six"),
    ],
    ids=["not listed", "an old one", "not locked", "no lock", "another version", "missing"],
)
def test_what_is_not_listed_is_refused(changes: dict[str, bytes], locked: dict[str, str], told: str) -> None:
    with pytest.raises(InventoryError, match=told):
        packages(zip_bytes({**CRYPTO, **changes}), locked)


def test_compiled_code_without_a_package_is_refused() -> None:
    with pytest.raises(InventoryError, match="belongs to no package"):
        packages(zip_bytes({"connect.py": b"", "fast.so": b""}), {})
