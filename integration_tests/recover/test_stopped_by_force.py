"""Terraform that is stopped by force leaves objects that its state does not know; the next apply names each.

That apply ends with "already exists" and the address of the object, as terraform/README.md says. With an `import` block
for each, the next one completes the rest.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
from typing import TYPE_CHECKING

import pytest

from scripts import process_table
from scripts.terraform import CONFIGURATION, TerraformError
from scripts.waiting import eventually

if TYPE_CHECKING:
    from integration_tests.recover.conftest import Root
    from scripts.local.deployment import AppliedRoot

pytestmark = pytest.mark.emulator_only

OBJECTS = 50
"""Objects that an apply of the root begins to create, at least."""
TAKEN = re.compile(
    r"Error: creating [^(\n]+\((?P<id>[^)]+)\):[^\n]*(?:AlreadyExists|Conflict|ResourceInUse)\w*.*?"
    r"with (?P<address>\S+),",
    re.DOTALL,
)
"""Terraform's error for an object that exists and is not in the state; the first parentheses hold its import id."""


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize("blow", ["the provider is killed", "two interrupts"])
async def test_an_apply_that_was_stopped_by_force_is_completed(root: Root, blow: str, seed: int) -> None:
    instance = root()
    moment = random.Random(f"{blow} {seed}").randrange(1, OBJECTS)  # noqa: S311 - no secret
    print(f"{blow} when the creation of object {moment} begins")
    instance.report = Blow(instance, moment, interrupts=blow == "two interrupts").read
    with pytest.raises(TerraformError):
        await asyncio.to_thread(instance.apply)
    instance.report = None
    await end_of(instance)
    try:
        await asyncio.to_thread(complete, instance)
        plan = await asyncio.to_thread(instance.plan)
        assert not plan.changes, plan.text
    finally:
        await asyncio.to_thread(instance.destroy)


class Blow:
    """Stops an apply by force at the n-th object.

    Args:
        instance: The instance that is applied.
        moment: Number of objects, including the one that Terraform begins to create.
        interrupts: Interrupt Terraform twice, as an impatient Ctrl-C does, instead of killing its provider.
    """

    def __init__(self, instance: AppliedRoot, moment: int, *, interrupts: bool) -> None:
        self._instance = instance
        self._left = moment
        self._interrupts = interrupts

    def read(self, line: str) -> None:
        """Take one line that Terraform prints."""
        if line.endswith(": Creating..."):
            self._left -= 1
            if self._left == 0:
                self._strike()
        elif self._interrupts and line.startswith("Interrupt received"):
            self._strike()

    def _strike(self) -> None:
        program, number = (" apply ", signal.SIGINT) if self._interrupts else ("terraform-provider-aws", signal.SIGKILL)
        struck = [pid for pid, command in processes(self._instance).items() if program in command]
        assert struck
        for pid in struck:
            os.kill(pid, number)


async def end_of(instance: AppliedRoot) -> None:
    """Wait until no process of an instance's Terraform runs.

    Raises:
        AssertionError: Some still run.
    """

    async def running() -> int:
        return len(processes(instance))

    await eventually(running, 0, within=30, what="the end of Terraform and its providers")


def processes(instance: AppliedRoot) -> dict[int, str]:
    """Return the command lines of an instance's Terraform and of its providers by process id."""
    scratch = str(instance.scratch.resolve())
    return {pid: command for pid, command in process_table.command_lines().items() if scratch in command}


def complete(instance: AppliedRoot) -> None:
    """Apply, with an `import` block for each object that exists without the state's knowledge.

    Raises:
        TerraformError: The apply failed for another reason.
    """
    blocks: list[str] = []
    for _ in range(OBJECTS):
        workspace = instance.workspace
        workspace.init()
        (workspace.tree / CONFIGURATION.name / "imports.tf").write_text("".join(blocks), encoding="utf-8")
        try:
            workspace.apply()
        except TerraformError as error:
            taken = {match["address"]: match["id"] for match in TAKEN.finditer(str(error))}
            print("exist, but are not in the state:", taken)
            if not taken or len(taken) != str(error).count("Error: "):
                raise
            blocks = [f'import {{\n  to = {address}\n  id = "{identity}"\n}}\n' for address, identity in taken.items()]
        else:
            return
    raise AssertionError(f"{OBJECTS} applies do not complete it")
