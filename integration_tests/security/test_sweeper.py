"""The sweeper on a stage: a thousand dead connections among living ones, its share of the requests, and its rights."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import items
from roomcast.members import Connection
from roomcast.protocol import TEXT

from integration_tests.conftest import table_of
from integration_tests.harness.crowd import Crowd
from integration_tests.harness.table import HOUR_MS, unknown_connection_id
from integration_tests.security.lab import Lab
from integration_tests.security.roles import Roles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

pytestmark = pytest.mark.emulator_only

DEAD, LIVING, HALVES = 1_000, 200, 50
QUOTA, SHARE = 8_000, 0.05
"""The sweeper may take 400 requests per second."""
COUNT, KEEP, DELETE, ASK, KEY = (
    "CountConnections",
    "KeepLeaseAndState",
    "DeleteConnections",
    "AskForConnections",
    "UseTableKey",
)
NEEDED = [
    (COUNT, "dynamodb:Scan"),
    (KEEP, "dynamodb:PutItem"),
    (DELETE, "dynamodb:BatchGetItem"),
    (DELETE, "dynamodb:UpdateItem"),
    (DELETE, "dynamodb:DeleteItem"),
    (ASK, "execute-api:ManageConnections"),
    ("MarkPresence", "sqs:SendMessage"),
    (KEY, "kms:Decrypt"),
]
"""Each right of the sweeper, by statement and action."""
WATCHED = "roomcast-test-seen-"
LATER = "a change of members is announced later"


@pytest.fixture(scope="module")
def swept(target: Target) -> Deployment:
    """An instance with a sweeper, whose schedule invokes nothing while a test does, and whose table has a key."""
    assert target.aws is not None
    session, url = target.aws.session, target.aws.endpoint_url
    instance = target.deploy_to_stay(
        f"swept-{secrets.token_hex(3)}",
        account_requests_per_second=QUOTA,
        presence_rooms=[f"{WATCHED}*"],
        sweeper={"enabled": True, "share": SHARE},
        table_kms_key_arn=session.client("kms", endpoint_url=url).create_key()["KeyMetadata"]["Arn"],
    )
    scheduler = session.client("scheduler", endpoint_url=url)
    schedule = scheduler.get_schedule(Name=instance.outputs["sweeper_schedule_name"])
    assert schedule["Target"]["Arn"] == instance.outputs["alias_arns"]["sweeper"]
    scheduler.delete_schedule(Name=schedule["Name"])
    return instance


@pytest.fixture
async def lab(target: Target, swept: Deployment) -> AsyncIterator[Lab]:
    """That instance, with the clients of one test."""
    assert target.aws is not None
    crowd = Crowd(swept.websocket_url)
    yield Lab(target.aws, swept, table_of(target, swept), crowd)
    await crowd.finish()


async def plant(lab: Lab, rows: Iterable[Connection], *, halves: bool = False) -> None:
    """Write the items of connections, or their memberships alone."""
    written = [item for row in rows for item in items.rows(row)[1 if halves else 0 :]]
    for start in range(0, len(written), 25):
        requests: Any = {lab.table.name: [{"PutRequest": {"Item": item}} for item in written[start : start + 25]]}
        await asyncio.to_thread(lab.table.dynamodb.batch_write_item, RequestItems=requests)


def dead(count: int, *rooms: str) -> list[Connection]:
    """Connections that do not exist, an hour old."""
    now = time.time()
    at, ends = int(now * 1000) - HOUR_MS, int(now) + 6_000
    return [Connection(unknown_connection_id(), at, dict.fromkeys(rooms, 0), 0, ends, None, TEXT) for _ in range(count)]


async def every_item(lab: Lab) -> dict[str, Any]:
    """Return all items of connections and rooms, by their keys."""
    pages = await asyncio.to_thread(
        lambda: [*lab.table.dynamodb.get_paginator("scan").paginate(TableName=lab.table.name, ConsistentRead=True)]
    )
    found = [item for page in pages for item in page["Items"]]
    kinds = ("connection#", "room#")
    return {
        f"{item['partition_key']['S']} {item['sort_key']['S']}": item
        for item in found
        if item["partition_key"]["S"].startswith(kinds)
    }


async def remove(lab: Lab, keys: Iterable[str]) -> None:
    """Delete items by the keys of ``every_item``."""
    for key in keys:
        first, second = key.split(" ")
        whole = {"partition_key": {"S": first}, "sort_key": {"S": second}}
        await asyncio.to_thread(lab.table.dynamodb.delete_item, TableName=lab.table.name, Key=whole)


async def sweep(lab: Lab) -> tuple[dict[str, Any], str]:
    """Let the sweeper run, as if the lease of the run before were over; return its line, and all lines."""
    await asyncio.to_thread(lab.table.dynamodb.delete_item, TableName=lab.table.name, Key=items.sweeper_key("lease"))
    _, text = await lab.invoke("sweeper", {})
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return next((line for line in lines if line["message"] == "sweep"), {}), text


async def age_all(lab: Lab) -> None:
    """Make all connections an hour old."""
    for item in (await every_item(lab)).values():
        older = {**item, "connected_at": {"N": str(int(item["connected_at"]["N"]) - HOUR_MS)}}
        await asyncio.to_thread(lab.table.dynamodb.put_item, TableName=lab.table.name, Item=older)


@pytest.mark.timeout(900)
async def test_a_thousand_dead_connections_go_and_no_living_one_is_touched(lab: Lab) -> None:
    room, other = lab.room(), lab.room()
    await lab.crowd.join_many(room, LIVING)
    await age_all(lab)
    living = await every_item(lab)
    assert len(living) == 2 * LIVING
    await plant(lab, dead(DEAD - HALVES, room, other))
    await plant(lab, dead(HALVES, room, other), halves=True)
    young = [each._replace(connected_at=int(time.time() * 1000)) for each in dead(1, other)]
    await plant(lab, young)

    began = time.monotonic()
    line, text = await sweep(lab)
    seconds = time.monotonic() - began
    print(f"{seconds:.1f} s, {line.get('calls')} calls")
    assert (line["outcome"], line["checked"], line["open"]) == ("served", DEAD + LIVING, LIVING), text
    assert (line["connections"], line["swept"], line["calls"]) == (DEAD - HALVES + LIVING + 1, DEAD, 2 * DEAD + LIVING)
    left = await every_item(lab)
    assert {key: item for key, item in left.items() if young[0].connection_id not in key} == living
    # 20 s of it are the pause.
    assert line["calls"] <= (seconds - 20) * QUOTA * SHARE
    await remove(lab, left.keys() - living.keys())


async def is_swept(lab: Lab) -> bool:
    """Whether a connection, and a membership without one, are found and deleted, and their room is marked."""
    room = f"{WATCHED}{secrets.token_hex(6)}"
    await lab.crowd.join_many(room, 1)
    await age_all(lab)
    before = await every_item(lab)
    gone = dead(1, room)
    await plant(lab, gone)
    await plant(lab, dead(1, room), halves=True)
    line, text = await sweep(lab)
    left = await every_item(lab)
    await remove(lab, left.keys() - before.keys())
    return line.get("outcome") == "served" and left.keys() == before.keys() and LATER not in text


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("sid", "action"), NEEDED)
async def test_each_right_is_needed(lab: Lab, sid: str, action: str) -> None:
    with Roles(lab.aws, lab.deployment.outputs["function_arns"]).without("sweeper", action, sid):
        assert not await is_swept(lab), f"the sweeper does not need {action}"


@pytest.mark.timeout(600)
async def test_with_all_rights_it_sweeps(lab: Lab) -> None:
    assert await is_swept(lab)


async def test_each_right_is_in_the_table(lab: Lab) -> None:
    roles = Roles(lab.aws, lab.deployment.outputs["function_arns"])
    granted = {(each["Sid"], action) for each in roles.statements("sweeper") for action in each["Action"]}
    assert {right for right in granted if not right[1].startswith("kms:")} == {*NEEDED} - {(KEY, "kms:Decrypt")}


async def test_no_function_has_such_a_right_where_nothing_is_swept(target: Target) -> None:
    assert target.aws is not None
    roles = Roles(target.aws, target.deployment.outputs["function_arns"])
    assert "sweeper" not in roles.arns
    for function in roles.arns:
        assert "dynamodb:Scan" not in roles.granted(function)
        resources = [each.get("Resource", "") for each in roles.statements(function)]
        assert "/GET/@connections/" not in str(resources)
