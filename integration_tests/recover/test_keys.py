"""The table gets a key, and another one, while clients talk.

The emulator refuses requests of functions that may not use the table's key.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from integration_tests.recover.talkers import crowd

if TYPE_CHECKING:
    from integration_tests.recover.conftest import Root
    from integration_tests.targets.interface import Target


@pytest.mark.emulator_only
@pytest.mark.long
async def test_functions_can_use_the_table_at_every_step_of_a_change_of_its_key(root: Root, target: Target) -> None:
    assert target.aws is not None
    kms = target.aws.session.client("kms", endpoint_url=target.aws.endpoint_url)
    keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    instance = root()
    await asyncio.to_thread(instance.apply)
    try:
        async with crowd(instance.deployment().websocket_url):
            for key in keys:
                await asyncio.to_thread(instance.apply, table_kms_key_arn=key, log_kms_key_arn=key)
        plan = await asyncio.to_thread(instance.plan)
        assert not plan.changes, plan.text
    finally:
        await asyncio.to_thread(instance.destroy)
