"""A function that does not run its zip is told by every plan, and another ``code_revision`` uploads the zip again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from integration_tests.recover.withholding import SENTENCE
from scripts.build_handlers import OUTPUT
from scripts.terraform import TerraformError

if TYPE_CHECKING:
    from pathlib import Path

    from integration_tests.recover.conftest import Root
    from integration_tests.recover.withholding import Withholding
    from scripts.local.deployment import AppliedRoot

pytestmark = pytest.mark.emulator_only

HANDLER = "whoami"
WARNING = "The function {name}-whoami runs other code than its zip's"
UPLOAD = "lambda PUT /functions/*/code"


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_refused_upload_and_a_change_by_hand_are_told_and_repaired(
    root: Root, rights: Withholding, tmp_path: Path
) -> None:
    instance = root()
    await asyncio.to_thread(instance.apply)
    try:
        before = digest(instance)
        directory = other_zips(tmp_path / "zips")
        rights.withhold(UPLOAD)
        with pytest.raises(TerraformError, match=SENTENCE):
            await asyncio.to_thread(instance.apply, handlers_directory=str(directory))
        rights.withhold()
        assert digest(instance) == before
        await check_told_and_repaired(instance, directory, "1")

        instance.access.aws.functions.update_function_code(
            FunctionName=f"{instance.variables['name']}-{HANDLER}", ZipFile=(OUTPUT / "connect.zip").read_bytes()
        )
        await check_told_and_repaired(instance, directory, "2")
    finally:
        await asyncio.to_thread(instance.destroy)


async def check_told_and_repaired(instance: AppliedRoot, directory: Path, revision: str) -> None:
    """Check that plans name the function until another revision is applied, which uploads the zip."""
    warning = WARNING.format_map(instance.variables)
    for _ in range(2):
        plan = await asyncio.to_thread(instance.plan)
        assert warning in " ".join(plan.text.split())
        await asyncio.to_thread(instance.workspace.apply)
    await asyncio.to_thread(instance.apply, code_revision=revision)
    assert digest(instance) == base64.b64encode(sha256_of(directory)).decode()
    plan = await asyncio.to_thread(instance.plan)
    assert not plan.changes, plan.text
    assert warning not in " ".join(plan.text.split())


def digest(instance: AppliedRoot) -> str:
    """Return the digest of the code that the function runs."""
    name = f"{instance.variables['name']}-{HANDLER}"
    return instance.access.aws.functions.get_function_configuration(FunctionName=name)["CodeSha256"]


def other_zips(directory: Path) -> Path:
    """Make a folder of zips of which one is another file with the same content; return it."""
    shutil.copytree(OUTPUT, directory)
    file = directory / f"{HANDLER}.zip"
    content = file.read_bytes()
    comment = b"another build"
    assert content.endswith(b"\0\0"), "the zip has a comment"
    file.write_bytes(content[:-2] + len(comment).to_bytes(2, "little") + comment)
    manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    manifest["handlers"][HANDLER]["sha256"] = sha256_of(directory).hex()
    (directory / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return directory


def sha256_of(directory: Path) -> bytes:
    """Return the digest of the function's zip in a folder."""
    return hashlib.sha256((directory / f"{HANDLER}.zip").read_bytes()).digest()
