"""Each object of the root is deleted by hand, and changed: the next plan names it, and the next apply repairs it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from integration_tests.harness.client import Client
from integration_tests.harness.cloudwatch import Logs
from integration_tests.recover.drift import CHANGED, DELETED, ONLY
from integration_tests.recover.state import objects_of, planned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from integration_tests.recover.conftest import Root
    from integration_tests.recover.drift import Act
    from integration_tests.recover.state import Managed
    from scripts.local.deployment import AppliedRoot

pytestmark = pytest.mark.emulator_only


WHOLE = {"aws_apigatewayv2_api"}
"""Types of which a deletion takes other objects along, so that it cannot be tested beside theirs."""


class Deed(NamedTuple):
    """Something that is done by hand to one object."""

    managed: Managed
    what: str
    act: Act

    def __str__(self) -> str:
        """Name object and deed."""
        return f"{self.managed.address}: {self.what}"


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_every_object_that_was_deleted_by_hand_is_made_again(root: Root, everything: dict[str, object]) -> None:
    instance = root(**everything)
    await asyncio.to_thread(instance.apply)
    try:
        for kind, act in DELETED.items():
            await repair(instance, [Deed(each, "deleted", act) for each in objects_of(instance) if each.type == kind])
    finally:
        await asyncio.to_thread(instance.destroy)


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_every_change_by_hand_is_undone(root: Root, everything: dict[str, object]) -> None:
    instance = root(**everything)
    await asyncio.to_thread(instance.apply)
    try:
        for number in range(max(map(len, CHANGED.values()))):
            await repair(instance, one_of_each(instance, changes(number)))
    finally:
        await asyncio.to_thread(instance.destroy)


def deletions() -> dict[str, tuple[str, Act]]:
    """Return how an object of each type is deleted."""
    return {kind: ("deleted", act) for kind, act in DELETED.items()}


def changes(number: int) -> dict[str, tuple[str, Act]]:
    """Return one change for each type that the table has as many for."""
    return {kind: [*acts.items()][number] for kind, acts in CHANGED.items() if number < len(acts)}


def one_of_each(instance: AppliedRoot, acts: Mapping[str, tuple[str, Act]]) -> list[Deed]:
    """Return deeds to one object of each type, as far as possible to those of different functions and routes."""
    deeds = []
    for number, (kind, (what, act)) in enumerate(acts.items()):
        part = ONLY.get((kind, what), "")
        if objects := [each for each in objects_of(instance) if each.type == kind and part in each.address]:
            deeds.append(Deed(objects[number % len(objects)], what, act))
    return deeds


async def repair(instance: AppliedRoot, deeds: Sequence[Deed]) -> None:
    """Do something by hand, and check that the next plan names each object and that the next apply repairs it.

    Raises:
        AssertionError: The plan names an object not, or the apply did not repair it.
        scripts.terraform.TerraformError: The apply failed.
    """
    began_at = time.monotonic()
    for deed in deeds:
        await asyncio.to_thread(deed.act, instance.access.aws, deed.managed.attributes)
    file = instance.scratch / "plan"
    plan = await asyncio.to_thread(instance.workspace.plan, f"-out={file}")
    unseen = [str(deed) for deed in deeds if deed.managed.address not in planned(plan.text)]
    assert not unseen, unseen
    await asyncio.to_thread(instance.workspace.apply_planned, file)
    plan = await asyncio.to_thread(instance.plan)
    assert not plan.changes, "\n".join([*map(str, deeds), plan.text])
    await say_hello(instance)
    print(f"{time.monotonic() - began_at:.1f} s:", *deeds, sep="\n  ", flush=True)


async def say_hello(instance: AppliedRoot) -> None:
    """Let a client hear itself.

    Raises:
        AssertionError: It did not; the notes hold the functions' log lines of that time.
    """
    deployment, since = instance.deployment(), time.time()
    client = await Client.connect(deployment.websocket_url, "repaired")
    try:
        await client.say("hello world")
        await client.expect("hello world")
    except AssertionError as error:
        logs = Logs(instance.access.aws.logs, [*deployment.outputs["log_group_names"].values()])
        for line in await logs.lines(since, ""):
            error.add_note(line)
        raise
    finally:
        await client.close()
