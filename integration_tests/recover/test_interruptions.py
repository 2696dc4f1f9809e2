"""An apply, a change and a destroy that lack a right are completed by the next one that has it.

Of each kind of request, the first is refused once: the one that creates an object, those that complete it, those that
read it back, after which Terraform takes the object for tainted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.recover.withholding import SENTENCE
from scripts.terraform import TerraformError

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.recover.conftest import Root
    from integration_tests.recover.withholding import Withholding

pytestmark = [pytest.mark.emulator_only]

EVERYTHING = "(?!sts)"
"""But to ask who the caller is, without which the provider does not begin."""
WRITES = f"{EVERYTHING}(?!.* (?:GET|HEAD|Describe|Get|List))"
CREATED = {
    "apigateway POST /apis",
    "apigateway POST /apis/*/authorizers",
    "apigateway POST /apis/*/integrations",
    "apigateway POST /apis/*/routes",
    "apigateway POST /apis/*/stages",
    "monitoring PutDashboard",
    "monitoring PutMetricAlarm",
    "dynamodb CreateTable",
    "dynamodb UpdateContinuousBackups",
    "dynamodb UpdateTimeToLive",
    "iam CreateRole",
    "iam PutRolePolicy",
    "lambda POST /event-source-mappings",
    "lambda POST /functions",
    "lambda POST /functions/*/aliases",
    "lambda POST /functions/*/policy",
    "lambda PUT /functions/*/provisioned-concurrency",
    "logs CreateLogGroup",
    "logs PutQueryDefinition",
    "logs PutRetentionPolicy",
    "s3 PUT /object?",
    "scheduler POST /schedules/*",
    "sqs CreateQueue",
    "sqs SetQueueAttributes",
    "ssm PutParameter",
}
CHANGED = {
    "apigateway DELETE /apis/*/integrations/*",
    "apigateway DELETE /apis/*/routes/*",
    "apigateway DELETE /apis/*/stages/*/routesettings/*",
    "apigateway PATCH /apis/*/integrations/*",
    "apigateway PATCH /apis/*/stages/*",
    "dynamodb UpdateContinuousBackups",
    "iam CreateRole",
    "iam PutRolePolicy",
    "lambda DELETE /functions/*/policy/*",
    "lambda PUT /event-source-mappings/*",
    "lambda POST /functions/*/versions",
    "lambda PUT /functions/*/aliases/*",
    "lambda PUT /functions/*/configuration",
    "logs PutRetentionPolicy",
    "sqs SetQueueAttributes",
    "ssm PutParameter",
}
DESTROYED = {
    "apigateway DELETE /apis/*",
    "apigateway DELETE /apis/*/authorizers/*",
    "apigateway DELETE /apis/*/integrations/*",
    "apigateway DELETE /apis/*/routes/*",
    "apigateway DELETE /apis/*/stages/*",
    "monitoring DeleteAlarms",
    "monitoring DeleteDashboards",
    "dynamodb DeleteTable",
    "iam DeleteRole",
    "iam DeleteRolePolicy",
    "lambda DELETE /event-source-mappings/*",
    "lambda DELETE /functions/*",
    "lambda DELETE /functions/*/aliases/*",
    "lambda DELETE /functions/*/policy/*",
    "lambda DELETE /functions/*/provisioned-concurrency",
    "logs DeleteLogGroup",
    "logs DeleteQueryDefinition",
    "s3 DELETE /object?",
    "scheduler DELETE /schedules/*",
    "sqs DeleteQueue",
    "ssm DeleteParameter",
}
MOST_ROUNDS = 40
"""Applies until it has to be done: more than the longest chain of objects has requests."""


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_whatever_right_was_missing_the_next_apply_completes(
    root: Root, rights: Withholding, everything: dict[str, Any]
) -> None:
    instance = root(**everything)
    created = await asyncio.to_thread(complete, instance.apply, rights, EVERYTHING)
    assert created >= CREATED
    plan = await asyncio.to_thread(instance.plan)
    assert not plan.changes, plan.text

    changed = await asyncio.to_thread(complete, lambda: instance.apply(**changes(everything)), rights, WRITES)
    assert changed >= CHANGED
    plan = await asyncio.to_thread(instance.plan)
    assert not plan.changes, plan.text

    destroyed = await asyncio.to_thread(complete, instance.destroy, rights, WRITES)
    assert destroyed >= DESTROYED
    assert instance.workspace.output() == {}


@pytest.mark.long
async def test_an_apply_that_was_told_to_stop_is_completed(root: Root) -> None:
    """SIGINT once, as Ctrl-C sends it: Terraform ends the calls under way, and the next apply makes the rest."""
    instance = root()
    instance.report = stop_at("aws_iam_role.this: Creation complete")
    with pytest.raises(Stopped):
        await asyncio.to_thread(instance.apply)
    instance.report = None
    try:
        await asyncio.to_thread(instance.apply)
        plan = await asyncio.to_thread(instance.plan)
        assert not plan.changes, plan.text
    finally:
        await asyncio.to_thread(instance.destroy)


class Stopped(Exception):  # noqa: N818 - no error: the test stops Terraform by it
    """Raised while Terraform runs, which therefore gets SIGINT once."""


def stop_at(text: str) -> Callable[[str], None]:
    """Return a reader of Terraform's lines that stops it at the first one with a text."""

    def read(line: str) -> None:
        if text in line:
            raise Stopped

    return read


def complete(act: Callable[[], object], rights: Withholding, pattern: str) -> set[str]:
    """Act until it succeeds, with each kind of request refused once; return the kinds that were.

    Args:
        act: Runs Terraform.
        rights: Terraform's rights.
        pattern: Regular expression for the requests that are refused.

    Raises:
        TerraformError: It failed for another reason than a withheld right.
        AssertionError: It does not come to an end.
    """
    rights.withhold_once(pattern)
    for _ in range(MOST_ROUNDS):
        before = len(rights.refused)
        try:
            act()
        except TerraformError as error:
            print(f"{len(rights.refused)} refused:", *rights.refused[before:], sep="\n  ")
            if len(rights.refused) == before or other_reasons(str(error)):
                raise
        else:
            refused = {*rights.refused}
            rights.withhold()
            return refused
    raise AssertionError(f"{MOST_ROUNDS} applies do not complete it; refused so far: {rights.refused}")


def other_reasons(output: str) -> list[str]:
    """Return the errors that Terraform has printed and that no withheld right explains."""
    errors = output.split("Error: ")[1:]
    return [error for error in errors if SENTENCE not in error and "StatusCode: 403" not in error]


def changes(variables: dict[str, Any]) -> dict[str, Any]:
    """Return the variables with all changed that can be in place, without a team's route, and with kicks.

    With kicks, a function is new, and another one's role gets rights.
    """
    return {
        **variables,
        "additional_routes": {},
        "kick_enabled": True,
        "log_level": "DEBUG",
        "log_retention_days": 7,
        "pace": 1000,
        "point_in_time_recovery": False,
        "queued_delivery": {"enabled": True, "batch_size": 5, "maximum_concurrency": 5, "worker_timeout": 40},
        "tags": {"team": "talk"},
        "throttling_burst_limit": 500,
    }
