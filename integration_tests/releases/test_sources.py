"""A consumer gets a stage from each source of a release with `terraform init` and `terraform apply`."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.client import Client
from integration_tests.releases.conftest import VERSION
from integration_tests.releases.consumer import consumer
from scripts.terraform import TerraformError
from scripts.waiting import scaled

if TYPE_CHECKING:
    from pathlib import Path

    from integration_tests.releases.conftest import Released
    from integration_tests.releases.consumer import Consumer
    from scripts.local.deployment import EmulatorAccess

pytestmark = [pytest.mark.without_target, pytest.mark.timeout(scaled(900))]


async def says_hello(made: Consumer) -> None:
    """Let a client of the applied stage hear itself."""
    url = (await asyncio.to_thread(made.output))["websocket_url"]["value"]
    host, _, stage = url.removeprefix("wss://").partition("/")
    api = host.partition(".")[0]
    endpoint = (made.environment or {})["AWS_ENDPOINT_URL"].replace("http", "ws", 1)
    client = await Client.connect(f"{endpoint}/_aws/execute-api/{api}/{stage}", "lobby")
    try:
        await client.say("hello world")
        await client.expect("hello world")
    finally:
        await client.close()


def versions(access: EmulatorAccess) -> set[str]:
    """Return the versions in the environments of the consumer's functions."""
    pages = access.aws.functions.get_paginator("list_functions").paginate()
    return {
        function["Environment"]["Variables"]["ROOMCAST_VERSION"]
        for page in pages
        for function in page["Functions"]
        if function["FunctionName"].startswith("consumer-")
    }


async def test_each_source_gives_the_same_stage(
    released: Released, archive: str, access: EmulatorAccess, tmp_path: Path
) -> None:
    """From one of them it is applied; a plan from each other one, in another folder, finds nothing to change."""
    state = tmp_path / "terraform.tfstate"
    commit = released.git.text("rev-parse", f"v{VERSION}^{{}}")
    first = consumer(tmp_path / "0", released.source(f"v{VERSION}&depth=1"), access, state=state)
    first.init()
    try:
        await asyncio.to_thread(first.apply)
        await says_hello(first)
        assert versions(access) == {VERSION}
        for number, source in enumerate(
            [released.source(f"v{VERSION}&depth=1"), released.source(f"v{VERSION}"), released.source(commit), archive]
        ):
            other = consumer(tmp_path / str(number), source, access, state=state)
            await asyncio.to_thread(other.init)
            plan = await asyncio.to_thread(other.plan)
            assert not plan.changes, (source, plan.text)
    finally:
        await asyncio.to_thread(first.destroy)
    assert versions(access) == set()


@pytest.mark.long
async def test_a_plan_is_applied_in_another_folder(archive: str, access: EmulatorAccess, tmp_path: Path) -> None:
    """As on Terraform Cloud, where two machines do so, each after `init`."""
    state = tmp_path / "terraform.tfstate"
    planning, applying = (consumer(tmp_path / name, archive, access, state=state) for name in ("plan", "apply"))
    planning.init()
    await asyncio.to_thread(planning.plan, f"-out={tmp_path / 'planned'}")
    shutil.rmtree(planning.tree)
    applying.init()
    try:
        await asyncio.to_thread(applying.apply_planned, tmp_path / "planned")
        await says_hello(applying)
        assert not (await asyncio.to_thread(applying.plan)).changes
    finally:
        await asyncio.to_thread(applying.destroy)


def test_a_zip_that_is_missing_where_a_plan_is_applied_is_named(
    archive: str, access: EmulatorAccess, tmp_path: Path
) -> None:
    made = consumer(tmp_path / "consumer", archive, access)
    made.init()
    made.plan(f"-out={tmp_path / 'planned'}")
    [lacking] = made.tree.glob(".terraform/modules/**/release/connect.zip")
    content = lacking.read_bytes()
    lacking.unlink()
    try:
        with pytest.raises(TerraformError) as refused:
            made.apply_planned(tmp_path / "planned")
    finally:
        lacking.write_bytes(content)
        made.destroy()

    sentence = " ".join(str(refused.value).split())
    assert "but connect.zip is missing; fetch release 0.9.1 again" in sentence
    assert "inconsistent final plan" not in sentence


def test_an_archive_with_another_checksum_is_refused(
    released: Released, archive: str, access: EmulatorAccess, tmp_path: Path
) -> None:
    made = consumer(tmp_path / "consumer", archive.replace(released.checksum, "0" * 64), access)

    with pytest.raises(TerraformError, match="Checksums did not match"):
        made.init()


def test_a_checkout_with_windows_line_ends_is_planned(
    released: Released, access: EmulatorAccess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git for Windows asks for them, and without a depth it checks out the default branch first."""
    settings = tmp_path / "gitconfig"
    settings.write_text("[core]\n\tautocrlf = true\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    made = consumer(tmp_path / "consumer", released.source(f"v{VERSION}"), access)
    made.init()

    assert "0 to destroy" in made.plan().text
