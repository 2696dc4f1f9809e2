"""Two stories that stand for the long tests: each takes one instance through all that the others do alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from integration_tests.recover.test_drift import WHOLE, changes, deletions, one_of_each, repair
from integration_tests.recover.test_interruptions import Stopped, stop_at
from integration_tests.recover.test_replacements import ACCESS_LOG, replace
from integration_tests.recover.test_stopped_by_force import Blow, complete, end_of
from integration_tests.recover.withholding import SENTENCE
from scripts.terraform import TerraformError

if TYPE_CHECKING:
    from integration_tests.recover.conftest import Root
    from integration_tests.recover.withholding import Withholding

pytestmark = [pytest.mark.emulator_only, pytest.mark.timeout(1800)]

LOG_GROUP = 'module.backend.module.handler["connect"].aws_cloudwatch_log_group.this'
POLICY = 'module.backend.module.handler["connect"].aws_iam_role_policy.task'


async def test_an_apply_that_meets_one_trouble_after_the_other_is_completed(root: Root, rights: Withholding) -> None:
    """Two rights come late, so that log groups and the table stay half made; then come an interrupt and a kill."""
    instance = root(access_log_enabled=True)
    rights.withhold("logs PutRetentionPolicy", "dynamodb UpdateContinuousBackups")
    with pytest.raises(TerraformError, match=SENTENCE):
        await asyncio.to_thread(instance.apply)
    rights.withhold()
    instance.report = stop_at("aws_lambda_function.this: Creation complete")
    with pytest.raises(Stopped):
        await asyncio.to_thread(instance.apply)
    instance.report = Blow(instance, 2, interrupts=False).read
    with pytest.raises(TerraformError):
        await asyncio.to_thread(instance.apply)
    instance.report = None
    await end_of(instance)
    try:
        await asyncio.to_thread(complete, instance)
        await asyncio.to_thread(instance.workspace.apply, f"-replace={ACCESS_LOG}[0]")  # as if it were half made
        plan = await asyncio.to_thread(instance.plan)
        assert not plan.changes, plan.text
    finally:
        await asyncio.to_thread(instance.destroy)


async def test_one_object_of_each_type_is_repaired_and_names_that_allow_no_second_one_are_replaced(root: Root) -> None:
    """Without a queue: Terraform takes more than a minute to make one."""
    instance = root()
    await asyncio.to_thread(instance.apply)
    try:
        await repair(instance, [deed for deed in one_of_each(instance, deletions()) if deed.managed.type not in WHOLE])
        await repair(instance, one_of_each(instance, changes(0)))
        await replace(instance, LOG_GROUP, POLICY)
    finally:
        await asyncio.to_thread(instance.destroy)
