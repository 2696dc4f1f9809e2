"""A stage of the release before this one is upgraded while clients talk, and goes back."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from integration_tests.contract.kept import NEIGHBOUR, unpacked
from integration_tests.recover.talk import talking
from scripts.repository import REPOSITORY
from scripts.waiting import scaled

if TYPE_CHECKING:
    from pathlib import Path

    from integration_tests.recover.conftest import Root
    from scripts.local.deployment import AppliedRoot

pytestmark = pytest.mark.emulator_only

CLIENTS = 50
WAY_BACK = "**The way back.**"
BLOCKS = re.compile(r"```hcl\n(.*?)```", re.DOTALL)


@pytest.mark.long
@pytest.mark.timeout(scaled(2400))
@pytest.mark.parametrize("queued", [False, True], ids=["direct", "queued"])
async def test_clients_talk_through_an_upgrade_and_the_way_back(root: Root, tmp_path: Path, *, queued: bool) -> None:
    this = root(queued_delivery={"enabled": queued})
    before = replace(this, repository=unpacked(NEIGHBOUR))
    back = replace(this, repository=on_the_way_back(tmp_path / "back"))
    await asyncio.to_thread(before.apply)
    try:
        table = table_id(before)
        async with talking(before, CLIENTS) as talk:
            for release in (this, back):
                await asyncio.to_thread(release.apply)
                talk.check_present()
                await talk.newcomer_hears_itself()
                plan = await asyncio.to_thread(release.plan)
                assert not plan.changes, plan.text
        assert table_id(back) == table
    finally:
        await asyncio.to_thread(back.destroy)


def on_the_way_back(folder: Path) -> Path:
    """Return a copy of the neighbour with the blocks that UPGRADING.md gives for the way back."""
    shutil.copytree(unpacked(NEIGHBOUR), folder)
    text = (REPOSITORY / "UPGRADING.md").read_text(encoding="utf-8")
    blocks = BLOCKS.search(text, text.index(WAY_BACK))
    assert blocks is not None
    (folder / "terraform" / "way_back.tf").write_text(blocks[1].replace("module.roomcast.", "module.backend."))
    return folder.resolve()


def table_id(instance: AppliedRoot) -> str:
    """Return the id of the connections table, which a table in its place would not have."""
    name = instance.deployment().outputs["connections_table_name"]
    return instance.access.aws.dynamodb.describe_table(TableName=name)["Table"]["TableId"]
