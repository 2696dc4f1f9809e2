"""A Lambda authorizer comes, is exchanged and goes, each in one apply, while a client stays connected."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from integration_tests.harness.client import Client
from integration_tests.recover.state import objects_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from integration_tests.recover.conftest import Root
    from integration_tests.recover.withholding import Withholding
    from scripts.local.deployment import AppliedRoot
    from scripts.terraform import Plan

pytestmark = pytest.mark.emulator_only

AUTHORIZERS = "apigateway DELETE /apis/*/authorizers/*"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("is_whole", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_an_authorizer_comes_is_exchanged_and_goes(
    root: Root, given: Mapping[str, str], rights: Withholding, *, is_whole: bool
) -> None:
    instance = root()
    ones_own = {"authorization_type": "CUSTOM", "authorizer_function_arn": given["authorizer"]}
    another = {**ones_own, "authorizer_function_arn": given["other_authorizer"]}
    try:
        await switch(instance, {}, 101)
        connected = await Client.connect(instance.deployment().websocket_url, "stays")
        before = {each.address for each in objects_of(instance)}
        await switch(instance, ones_own, 101)
        if is_whole:
            await switch(instance, another, 101)
            await switch(instance, {**another, "authorizer_permission": False}, 500)
            await switch(instance, another, 101)
            await switch(instance, {"authorization_type": "AWS_IAM"}, 403)
            await switch(instance, another, 101)
        await switch(instance, {}, 101)
        assert {each.address for each in objects_of(instance)} == before
        await connected.say("hello world")
        await connected.expect("hello world")
        await connected.close()
    finally:
        await asyncio.to_thread(instance.destroy)
    assert AUTHORIZERS in rights.seen


async def switch(instance: AppliedRoot, variables: Mapping[str, Any], status: int) -> None:
    """Apply with these variables alone; check how a new client is answered, and that the next plan is empty.

    Args:
        instance: The instance.
        variables: Variables besides its name.
        status: The status.
    """
    instance.variables = {"name": instance.variables["name"], **variables}
    await asyncio.to_thread(instance.apply)
    assert await handshake(instance) == status
    plan: Plan = await asyncio.to_thread(instance.plan)
    assert not plan.changes, plan.text


async def handshake(instance: AppliedRoot) -> int:
    """Connect, speak and leave, if the stage lets a client in; return the status."""
    try:
        client = await Client.connect(instance.deployment().websocket_url, "lobby")
    except InvalidStatus as refusal:
        return refusal.response.status_code
    try:
        await client.say("hello world")
        await client.expect("hello world")
    finally:
        await client.close()
    return 101
