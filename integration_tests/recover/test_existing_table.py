"""The rights that a plan needs on a table that the backend did not make are those that the backend's page names."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from integration_tests.recover.existing_table import make_table
from integration_tests.recover.test_interruptions import complete
from scripts.terraform import CONFIGURATION

if TYPE_CHECKING:
    from integration_tests.recover.conftest import Root
    from integration_tests.recover.withholding import Withholding
    from integration_tests.targets.interface import Target

pytestmark = pytest.mark.emulator_only

PAGE = CONFIGURATION / "modules" / "backend" / "README.md"


@pytest.mark.timeout(600)
async def test_a_plan_with_an_existing_table_needs_the_rights_of_the_page(
    target: Target, root: Root, rights: Withholding
) -> None:
    assert target.aws is not None
    table = make_table(target.aws.dynamodb)
    try:
        instance = root(existing_table={"arn": table["TableArn"]})
        await asyncio.to_thread(instance.workspace.init)
        asked = await asyncio.to_thread(complete, instance.plan, rights, "dynamodb ")
    finally:
        target.aws.dynamodb.delete_table(TableName=table["TableName"])

    _, _, page = PAGE.read_text(encoding="utf-8").partition("**An existing table.**")
    named = re.findall(r"`(dynamodb:\w+)`", page.partition("\n\n")[0])
    assert sorted(action.replace(" ", ":") for action in asked) == sorted(named)
