"""Each variable of the root is set, changed and unset on a living stack while 20 clients talk.

``variables.py`` holds the expectations. Every apply changes exactly the types of objects that it names, loses
no message, cuts off no client and leaves an empty plan; or the plan refuses it in the words of the table.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from integration_tests.recover.existing_table import make_table
from integration_tests.recover.state import planned, type_of
from integration_tests.recover.talk import talking
from integration_tests.recover.variables import ROWS, Step, filled
from scripts.build_handlers import OUTPUT
from scripts.terraform import TerraformError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from integration_tests.recover.conftest import Root
    from integration_tests.recover.talk import Talk
    from integration_tests.recover.variables import Given, Row
    from integration_tests.targets.interface import Target
    from scripts.local.deployment import AppliedRoot

pytestmark = pytest.mark.emulator_only

PARTS = 4
"""Of the table; a fault in one of them hides none in the others."""


@pytest.fixture
def found(given: Given, target: Target, tmp_path: Path) -> Iterator[Given]:
    """All objects that the table names."""
    assert target.aws is not None
    assert target.aws.endpoint_url is not None
    bucket = f"other-{secrets.token_hex(4)}"
    target.aws.s3.create_bucket(Bucket=bucket)
    table = make_table(target.aws.dynamodb)
    directory = tmp_path / "zips"
    shutil.copytree(OUTPUT, directory)
    endpoint = target.aws.endpoint_url.replace("127.0.0.1", "localhost")
    yield {
        **given,
        "other_bucket": bucket,
        "other_directory": str(directory),
        "other_endpoint": f"{endpoint}/_aws/execute-api/{{api_id}}/{{stage_name}}",
        "other_name": f"other-{secrets.token_hex(4)}",
        "other_table": table["TableArn"],
    }
    target.aws.s3.delete_bucket(Bucket=bucket)
    target.aws.dynamodb.delete_table(TableName=table["TableName"])


@pytest.mark.timeout(1800)
async def test_variables_together(root: Root, found: Given) -> None:
    """The representative of the long test: the rows take their steps at the same time."""
    rows = [row for row in ROWS.values() if not row.long]
    touched: set[str] = set()
    instance = root()
    await asyncio.to_thread(instance.apply)
    try:
        async with talking(instance) as talk:
            for number, stage in enumerate(stages(rows)):
                if number > 0:
                    touched |= await switch(instance, talk, merged([steps[0] for steps in stage]), found)
                if any(steps[1:] for steps in stage):
                    await refuse(instance, [steps[-1] for steps in stage], found)
    finally:
        await asyncio.to_thread(instance.destroy)
    assert touched == set[str]().union(*(row.touches for row in rows))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
async def test_each_variable(root: Root, found: Given, part: int) -> None:
    instance = root()
    await asyncio.to_thread(instance.apply)
    try:
        for name, row in [*ROWS.items()][part::PARTS]:
            print(name, flush=True)
            await follow(instance, name, row, found)
    finally:
        await asyncio.to_thread(instance.destroy)


async def follow(instance: AppliedRoot, name: str, row: Row, given: Given) -> None:
    """Take the steps of a row, each while clients talk.

    Raises:
        AssertionError: Something else happened than the row says.
    """
    touched: set[str] = set()
    async with talking(instance) as talk:
        for step in row.steps:
            touched |= await switch(instance, talk, step, given)
    assert touched == row.touches, f"{name}: {touched ^ row.touches}"


async def switch(instance: AppliedRoot, talk: Talk, step: Step, given: Given) -> set[str]:
    """Apply a step, or have it refused; return the types of the objects that it has touched."""
    if step.refused is not None:
        await refuse(instance, [step], given)
        return set()
    if step.by_hand is not None:
        await asyncio.to_thread(step.by_hand, instance)
    file = instance.scratch / "plan"
    with variables(instance, step.values, given):
        options = [] if step.by_hand else ["-refresh=false"]  # the plan before was empty
        plan = await asyncio.to_thread(instance.workspace.plan, f"-out={file}", *options)
        touched, removed = touched_by(plan.text)
        print(f"{time.monotonic() - talk.began_at:.1f} s: {dict(step.values)}", flush=True)
        assert removed == step.removes, f"{dict(step.values)}: {removed ^ step.removes}"
        await talk.keep_lines()
        await asyncio.to_thread(instance.workspace.apply_planned, file)
        talk.check_present()
        await check_handshake(talk, step.handshake)
        if step.settled:
            plan = await asyncio.to_thread(instance.plan)
            assert not plan.changes, plan.text
    return touched


async def refuse(instance: AppliedRoot, steps: Sequence[Step], given: Given) -> None:
    """Plan some steps at the same time, and check that the plan refuses each in its words."""
    with variables(instance, merged(steps).values, given), pytest.raises(TerraformError) as refusal:
        await asyncio.to_thread(instance.workspace.plan, "-refresh=false")
    said = " ".join(str(refusal.value).partition("Error: ")[2].split())
    for step in steps:
        assert step.refused is None or step.refused in said, said


@contextmanager
def variables(instance: AppliedRoot, values: Mapping[str, Any], given: Given) -> Iterator[None]:
    """Give an instance further variables while the context lasts."""
    base = instance.variables
    instance.variables = {**base, **filled(dict(values), given)}
    try:
        yield
    finally:
        instance.variables = base


async def check_handshake(talk: Talk, status: int) -> None:
    """Check how the stage answers a new client, which hears itself if it is let in."""
    if status == 101:
        await talk.newcomer_hears_itself()
        return
    with pytest.raises(InvalidStatus) as refusal:
        await talk.newcomer_hears_itself()
    assert refusal.value.response.status_code == status


def touched_by(plan: str) -> tuple[set[str], set[str]]:
    """Return the types of objects that a plan changes in any way, and of those that it deletes or replaces."""
    actions = planned(plan)
    removed = {address for address, action in actions.items() if action in {"destroyed", "replaced"}}
    return set(map(type_of, actions)), set(map(type_of, removed))


def stages(rows: Sequence[Row]) -> Iterator[list[list[Step]]]:
    """Yield the steps of all rows by turns: for each row an apply and, if the table has one, the refusal after it.

    Steps of the long test are left out. The first stage has been applied before; a row that has come to its end stays
    there.
    """
    columns = [by_apply([step for step in row.steps if not step.long]) for row in rows]
    for number in range(max(map(len, columns))):
        yield [column[number] if number < len(column) else [Step()] for column in columns]


def by_apply(steps: Sequence[Step]) -> list[list[Step]]:
    """Return steps in groups: an apply and the plans that are refused after it."""
    groups = [[Step()]]
    for step in steps:
        if step.refused is None:
            groups.append([step])
        else:
            groups[-1].append(step)
    return groups


def merged(steps: Sequence[Step]) -> Step:
    """Return one step with the values and removals of all of these."""
    values: dict[str, Any] = {}
    for step in steps:
        assert not values.keys() & step.values.keys(), "two rows set one variable at the same time"
        values.update(step.values)
    by_hand = [step.by_hand for step in steps if step.by_hand is not None]
    return Step(
        values,
        removes=frozenset[str]().union(*(step.removes for step in steps)),
        handshake=max(step.handshake for step in steps),
        settled=all(step.settled for step in steps),
        by_hand=by_hand[0] if by_hand else None,
    )
