"""A function's code and environment change together, readers before writers, while clients talk."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.reconfigured import ALIAS
from integration_tests.recover.talk import talking
from integration_tests.recover.withholding import SENTENCE
from scripts.terraform import TerraformError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.recover.conftest import Root
    from integration_tests.recover.withholding import Withholding
    from scripts.local.deployment import AppliedRoot

pytestmark = pytest.mark.emulator_only

READERS = {"default", "disconnect", "fanout_worker", "ping", "who", "whoami"}
WRITERS = {"connect", "join", "leave", "sendmessage"}
PUBLISH = "lambda POST /functions/*/versions"
UPDATED = re.compile(r'handler\["(\w+)"\]\.aws_lambda_function\.this: Modifications complete')
MOVES = re.compile(r'aws_lambda_alias\.(readers|writers)\["(\w+)"\]: (?:Modifying|Modifications complete)')
"""Lines in which Terraform tells what it does."""


@pytest.mark.timeout(1800)
async def test_an_environment_changes_and_comes_back_while_clients_talk(root: Root) -> None:
    instance = root(queued_delivery={"enabled": True})
    await asyncio.to_thread(instance.apply)
    before = served(instance)
    try:
        async with talking(instance) as talk:
            for pace in (1000, None):
                lines: list[str] = []
                instance.report = lines.append
                await asyncio.to_thread(instance.apply, pace=pace)
                talk.check_present()
                check_order(lines)
        instance.report = None
        after = served(instance)
        assert all(int(after[name]) == int(before[name]) + 2 for name in before)
    finally:
        await asyncio.to_thread(instance.destroy)


def check_order(lines: Sequence[str]) -> None:
    """Check that all versions were published before the first alias moved, and that readers moved before writers.

    Args:
        lines: What Terraform printed while it applied.

    Raises:
        AssertionError: The order was another one.
    """
    updated = {match[1]: number for number, line in enumerate(lines) if (match := UPDATED.search(line))}
    moves = [(number, match) for number, line in enumerate(lines) if (match := MOVES.search(line))]
    readers, writers = ([(at, match[2]) for at, match in moves if match[1] == kind] for kind in ("readers", "writers"))
    assert updated.keys() == READERS | WRITERS
    assert ({name for _, name in readers}, {name for _, name in writers}) == (READERS, WRITERS)
    assert max(updated.values()) < readers[0][0]
    assert readers[-1][0] < writers[0][0]


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_an_alias_serves_what_was_uploaded_last_if_no_version_was_published(
    root: Root, rights: Withholding
) -> None:
    instance = root()
    await asyncio.to_thread(instance.apply)
    try:
        before = served(instance)
        rights.withhold(PUBLISH)
        with pytest.raises(TerraformError, match=SENTENCE):
            await asyncio.to_thread(instance.apply, pace=1000)
        rights.withhold()
        assert served(instance) == before

        await asyncio.to_thread(instance.apply)
        assert {*served(instance).values()} == {"$LATEST"}
        assert {pace_of(instance, name) for name in before} == {"1000"}
        plan = await asyncio.to_thread(instance.plan)
        assert not plan.changes, plan.text

        await asyncio.to_thread(instance.apply, code_revision="1")
        assert "$LATEST" not in served(instance).values()
        assert {pace_of(instance, name) for name in before} == {"1000"}
    finally:
        await asyncio.to_thread(instance.destroy)


def served(instance: AppliedRoot) -> dict[str, str]:
    """Return the version that each function's alias serves."""
    arns = instance.deployment().outputs["function_arns"]
    get_alias = instance.access.aws.functions.get_alias
    return {name: get_alias(FunctionName=arn, Name=ALIAS)["FunctionVersion"] for name, arn in arns.items()}


def pace_of(instance: AppliedRoot, name: str) -> str:
    """Return the pace in the environment that a function's alias serves."""
    arn = instance.deployment().outputs["alias_arns"][name]
    settings = instance.access.aws.functions.get_function_configuration(FunctionName=arn)
    return settings["Environment"]["Variables"]["ROOMCAST_PACE"]
