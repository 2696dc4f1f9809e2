"""The bills of `make sbom`: valid, the same for the same zip, and complete."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts.build_handlers import OUTPUT
from scripts.build_output import MANIFEST
from scripts.lambda_zip import zip_bytes
from scripts.security.inventory import Package, Part
from scripts.security.sbom import DEPENDENCIES, PURE, bill, main, zips

if TYPE_CHECKING:
    from pathlib import Path

CRYPTOGRAPHY = Package(
    "cryptography", "50.0.2", "Apache-2.0 OR BSD-3-Clause", (Part("openssl", "4.0.3", "pkg:generic/openssl@4.0.3"),)
)


def test_a_bill_names_packages_and_what_was_compiled_into_them() -> None:
    content = b"the zip"

    text = bill("authorizer.zip", content, [CRYPTOGRAPHY])

    value = json.loads(text)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert value["metadata"]["component"]["hashes"] == [
        {"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}
    ]
    (package,) = value["components"]
    assert package["purl"] == "pkg:pypi/cryptography@50.0.2"
    assert package["licenses"] == [{"expression": CRYPTOGRAPHY.licence}]
    assert [(part["name"], part["version"]) for part in package["components"]] == [("openssl", "4.0.3")]
    assert value["dependencies"][0]["dependsOn"] == ["pkg:pypi/cryptography@50.0.2"]


def test_the_same_zip_has_the_same_bill() -> None:
    bills = {bill("a.zip", content, [CRYPTOGRAPHY]) for content in (b"one", b"one", b"other")}

    assert len(bills) == 2


def test_a_zip_of_ours_alone_says_so() -> None:
    value = json.loads(bill("connect.zip", b"", []))

    assert value["metadata"]["component"]["properties"] == [{"name": DEPENDENCIES, "value": PURE}]
    assert "components" not in value


def test_every_zip_of_the_build_has_a_bill(tmp_path: Path) -> None:
    assert main(bills=tmp_path) == 0

    manifest = json.loads((OUTPUT / MANIFEST).read_text(encoding="utf-8"))
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(f"{name}.cdx.json" for _, name in zips(manifest))
    for handler, name in zips(manifest):
        value = json.loads((tmp_path / f"{name}.cdx.json").read_text(encoding="utf-8"))
        names = [each["name"] for each in value.get("components", [])]
        assert names == (["cffi", "cryptography", "pycparser", "pyjwt"] if handler == "authorizer" else [])
        if handler == "authorizer":
            parts = {part["name"] for each in value["components"] for part in each.get("components", [])}
            assert "openssl" in parts


def test_a_zip_with_another_package_ends_the_command(tmp_path: Path) -> None:
    built = tmp_path / "handlers"
    built.mkdir()
    (built / "connect.zip").write_bytes(zip_bytes({"six-1.17.0.dist-info/METADATA": b"Name: six\nVersion: 1.17.0\n"}))
    (built / MANIFEST).write_text(json.dumps({"handlers": {"connect": {"zip": "connect.zip"}}}), encoding="utf-8")

    assert main(built, tmp_path / "sbom") == 1
