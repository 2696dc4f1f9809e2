"""Write a software bill of materials for each zip of ``make build``, in CycloneDX 1.6, below ``build/sbom/``.

The same zip has the same bill on every machine. A zip without third-party code says so.
Documentation: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from scripts.build_handlers import OUTPUT, SOURCES
from scripts.build_output import MANIFEST
from scripts.lambda_zip import EARLIEST_ZIP_DATE
from scripts.locks import read_lock
from scripts.security.inventory import InventoryError, Package, packages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BILLS = OUTPUT.parent / "sbom"
PURE = "standard library only"
DEPENDENCIES = "roomcast:dependencies"
"""Name of the property that lists a zip's dependencies in words."""


def zips(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield handler and name of each zip: one for each handler, or one for each architecture."""
    for handler, entry in sorted(manifest["handlers"].items()):
        for each in entry.get("zips", {"": entry}).values():
            yield handler, each["zip"]


def bill(name: str, content: bytes, found: list[Package]) -> str:
    """Return the bill of a zip as JSON text.

    Args:
        name: File name of the zip.
        content: The zip.
        found: The packages in it.

    Raises:
        InventoryError: The bill is not valid CycloneDX.
    """
    digest = hashlib.sha256(content).hexdigest()
    words = ", ".join(f"{each.name} {each.version}" for each in found) or PURE
    subject = Component(
        name=name,
        type=ComponentType.APPLICATION,
        bom_ref=name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=[LicenseExpression("MIT")],
        properties=[Property(name=DEPENDENCIES, value=words)],
    )
    components = [_component(each) for each in found]
    bom = Bom(components=components, serial_number=uuid.uuid5(uuid.NAMESPACE_OID, digest))
    bom.metadata.component = subject
    bom.metadata.timestamp = datetime(*EARLIEST_ZIP_DATE, tzinfo=UTC)  # the date of the files in the zip
    bom.register_dependency(subject, components)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise InventoryError(f"the bill of {name} is not valid: {problem}")
    return f"{text}\n"


def _component(package: Package) -> Component:
    purl = PackageURL("pypi", name=package.name, version=package.version)
    return Component(
        name=package.name,
        version=package.version,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseExpression(package.licence)] if package.licence else [],
        components=[
            Component(
                name=part.name,
                version=part.version,
                bom_ref=f"{purl}#{part.name}@{part.version}",
                purl=PackageURL.from_string(part.purl) if part.purl else None,
            )
            for part in package.parts
        ],
    )


def main(built: Path = OUTPUT, bills: Path = BILLS, sources: Path = SOURCES) -> int:
    """Write the bills and print a line for each; return the exit status."""
    bills.mkdir(parents=True, exist_ok=True)
    for file in bills.iterdir():
        file.unlink()
    try:
        for handler, name in zips(json.loads((built / MANIFEST).read_text(encoding="utf-8"))):
            content, lock = (built / name).read_bytes(), sources / f"{handler}.lock"
            found = packages(content, read_lock(lock).versions if lock.is_file() else {})
            (bills / f"{name}.cdx.json").write_text(bill(name, content, found), encoding="utf-8")
            print(f"sbom: {name}: {', '.join(f'{each.name} {each.version}' for each in found) or PURE}")
    except (OSError, InventoryError) as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
