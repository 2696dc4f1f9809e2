"""Each object of the root is replaced while clients talk: the apply succeeds, and everything works afterwards."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from integration_tests.harness.client import Client
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integration_tests.recover.conftest import Root
    from scripts.local.deployment import AppliedRoot

pytestmark = pytest.mark.emulator_only

LONGEST_GAP = 60.0
"""Seconds that a client may try in vain while an object is replaced: a function or a table is made in less than 20 on
an idle machine, and a table takes its members along."""
PATIENCE = 5.0
"""Seconds after which a client that hears nothing connects anew."""
INSTANCE = re.compile(r'\["[^"]*"\]|\[[0-9]+\]')
LOG_GROUP = 'module.backend.module.handler["connect"].aws_cloudwatch_log_group.this'
POLICY = 'module.backend.module.handler["connect"].aws_iam_role_policy.task'


@dataclass
class Talker:
    """One client that connects, hears its own words and leaves, again and again.

    Attributes:
        url: The stage.
        room: Where it talks.
        heard: How often it heard itself.
        gap: Longest time without that, in seconds.
    """

    url: str
    room: str
    heard: int = 0
    gap: float = 0.0

    async def talk_until(self, end: asyncio.Event) -> None:
        """Go on until told to end, and once more after that."""
        before = time.monotonic()
        while True:
            is_last = end.is_set()
            try:
                await self._talk_once()
            except (AssertionError, ConnectionClosed, InvalidHandshake, OSError):
                assert time.monotonic() - before < scaled(LONGEST_GAP), "nothing works any more"
                continue
            self.heard += 1
            self.gap = max(self.gap, time.monotonic() - before)
            before = time.monotonic()
            if is_last:
                return

    async def _talk_once(self) -> None:
        client = await Client.connect(self.url, self.room, within=PATIENCE)
        try:
            await client.say(text := f"{time.monotonic()}")
            await client.expect(text, within=PATIENCE)
            await client.whoami()
        finally:
            await client.close()


async def test_a_function_keeps_log_group_and_rights(root: Root) -> None:
    """The representative of the long test: names that allow no second one."""
    instance = root()
    await asyncio.to_thread(instance.apply)
    try:
        await replace(instance, LOG_GROUP, POLICY)
    finally:
        await asyncio.to_thread(instance.destroy)


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_any_object_can_be_replaced_while_clients_talk(root: Root, everything: dict[str, object]) -> None:
    instance = root(**{**everything, "access_log_enabled": True})
    await asyncio.to_thread(instance.apply)
    gaps: dict[str, float] = {}
    try:
        for kind, address in one_of_each_kind(instance).items():
            gaps[kind] = await replace(instance, address)
            print(f"{gaps[kind]:6.1f} s  {kind}", flush=True)
    finally:
        await asyncio.to_thread(instance.destroy)
    assert gaps


def one_of_each_kind(instance: AppliedRoot) -> Mapping[str, str]:
    """Return one address of each resource of the root's modules."""
    state = json.loads((instance.scratch / "terraform.tfstate").read_text(encoding="utf-8"))
    kinds: dict[str, str] = {}
    for resource in state["resources"]:
        if resource["mode"] == "managed" and resource["type"] != "terraform_data":
            name = f"{resource['module']}.{resource['type']}.{resource['name']}"
            key = resource["instances"][0].get("index_key")
            index = "" if key is None else f"[{json.dumps(key)}]"
            kinds.setdefault(INSTANCE.sub("", name), f"{name}{index}")
    return kinds


async def replace(instance: AppliedRoot, *addresses: str) -> float:
    """Replace objects while a client talks; return the longest time in which it was not heard, in seconds.

    Raises:
        AssertionError: The plan afterwards is not empty, or the client is not heard any more.
        scripts.terraform.TerraformError: The apply failed.
    """
    talker = Talker(instance.deployment().websocket_url, "replaced")
    replaced = asyncio.Event()
    talk = asyncio.create_task(talker.talk_until(replaced))
    try:
        await asyncio.to_thread(instance.workspace.apply, *(f"-replace={address}" for address in addresses))
    finally:
        talker.url = instance.deployment().websocket_url  # the API itself may be another one
        replaced.set()
    await talk
    plan = await asyncio.to_thread(instance.plan)
    assert not plan.changes, f"{addresses}:\n{plan.text}"
    return talker.gap
