"""Each object of the root is replaced while clients talk: the apply succeeds, and everything works afterwards."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.client import Client
from integration_tests.recover.state import objects_of
from integration_tests.recover.talkers import LONGEST_GAP, LONGEST_GAP_OF_A_QUEUE, crowd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integration_tests.recover.conftest import Root
    from scripts.local.deployment import AppliedRoot

pytestmark = pytest.mark.emulator_only

INSTANCE = re.compile(r'\["[^"]*"\]|\[[0-9]+\]')
PARTS = (
    {"websocket_api"},
    {"handler"},
    {"fanout_queue"},
    {"authorizer", "backend", "connections_table", "history_table", "presence_queue", "zips"},
)
"""Modules whose objects one instance shows, so that a fault in one part hides none in the others."""
ACCESS_LOG = "module.backend.module.websocket_api.aws_cloudwatch_log_group.access"
"""Replaced while nobody talks: API Gateway would make it again for a client's next line, and then Terraform cannot."""


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("modules", PARTS, ids=lambda modules: "-".join(sorted(modules)))
async def test_any_object_can_be_replaced_while_clients_talk(
    root: Root, everything: dict[str, object], modules: set[str]
) -> None:
    instance = root(**everything)
    await asyncio.to_thread(instance.apply)
    kinds = one_of_each_kind(instance)
    try:
        assert set(map(module_of, kinds)) == set[str]().union(*PARTS)
        for kind, address in kinds.items():
            if kind == ACCESS_LOG and module_of(kind) in modules:
                await asyncio.to_thread(instance.workspace.apply, f"-replace={address}")
            elif module_of(kind) in modules:
                gap = await replace(instance, address)
                print(f"{gap:6.1f} s  {kind}", flush=True)
    finally:
        await asyncio.to_thread(instance.destroy)


def one_of_each_kind(instance: AppliedRoot) -> Mapping[str, str]:
    """Return one address of each resource of the root's modules."""
    kinds: dict[str, str] = {}
    for managed in objects_of(instance):
        kinds.setdefault(INSTANCE.sub("", managed.address), managed.address)
    return kinds


def module_of(kind: str) -> str:
    """Return the name of the module that a resource's address is in."""
    return kind.split(".")[-3]


async def replace(instance: AppliedRoot, *addresses: str) -> float:
    """Replace objects while clients talk; return the longest time in which one was not acknowledged, in seconds.

    Raises:
        AssertionError: The plan afterwards is not empty, a client waited for longer than is documented, or an
            acknowledged message was lost.
        scripts.terraform.TerraformError: The apply failed.
    """
    is_queue = any(".aws_sqs_queue." in address for address in addresses)  # the messages in it go with it
    within = LONGEST_GAP_OF_A_QUEUE if is_queue else LONGEST_GAP
    async with crowd(instance.deployment().websocket_url, within, may_lose=is_queue) as talkers:
        await asyncio.to_thread(instance.workspace.apply, *(f"-replace={address}" for address in addresses))
        url = instance.deployment().websocket_url  # the API itself may be another one
        talkers.move_to(url)
    newcomer = await Client.connect(url)
    try:
        await newcomer.whoami()
    finally:
        await newcomer.close()
    plan = await asyncio.to_thread(instance.plan)
    assert not plan.changes, f"{addresses}:\n{plan.text}"
    return talkers.gap
