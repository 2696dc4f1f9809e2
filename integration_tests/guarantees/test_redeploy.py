"""Clients stay connected and miss no message while a deployment adds a route, and while another removes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness.answers import error
from integration_tests.harness.crowd import Crowd, expect_in_any_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.harness.client import Client
    from integration_tests.targets.interface import Changeable
    from scripts.local.deployment import Deployment

UNKNOWN_ACTION = error("unknown_action", "the action names no route of this API; name one that it has")


@pytest.mark.emulator_only
async def test_route_comes_and_goes_and_nobody_who_is_connected_notices(second: Changeable, room: str) -> None:
    before = second.deployment()
    crowd = Crowd(before.websocket_url)
    members = await crowd.join_many(room, 3)
    caller = members[-1]
    await caller.send("salute")
    assert await caller.receive_json() == UNKNOWN_ACTION

    await deploy_while_they_talk(second, members, additional_routes={"salute": whoami_again(before)})
    await caller.send("salute")
    assert (await caller.receive_json())["whoami"]["room"] == room

    await deploy_while_they_talk(second, members, additional_routes={})
    await caller.send("salute")
    assert await caller.receive_json() == UNKNOWN_ACTION
    assert second.deployment().websocket_url == before.websocket_url
    await crowd.finish()
    plan = await asyncio.to_thread(second.plan)
    assert not plan.changes, plan.text


async def deploy_while_they_talk(instance: Changeable, members: Sequence[Client], **variables: Any) -> None:  # noqa: ANN401 - any Terraform value
    """Apply changed variables while the first member sends, and check that the others receive every message."""
    speaker, *listeners = members
    deployed = asyncio.Event()
    speech = asyncio.create_task(speak_until(speaker, deployed))
    await asyncio.to_thread(instance.apply, **variables)
    deployed.set()
    said = await speech
    for client in listeners:
        await expect_in_any_order(client, said)


async def speak_until(client: Client, end: asyncio.Event) -> list[str]:
    """Send numbers, each when the one before has come back, until ``end`` is set; return the numbers sent."""
    said: list[str] = []
    while not end.is_set():
        said.append(str(len(said)))
        await client.say(said[-1])
        await client.expect(said[-1])
    return said


def whoami_again(deployment: Deployment) -> dict[str, str]:
    """Return a route that invokes the function behind ``whoami`` under another name."""
    arn = deployment.outputs["whoami_function_arn"]
    region = arn.split(":")[3]
    invocation = f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"
    return {"function_name": arn.rpartition(":")[2], "invoke_arn": invocation}
