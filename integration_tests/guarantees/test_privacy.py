"""No log holds the text of a message, whether the message is delivered, refused or fails."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from integration_tests.harness.client import Client
from integration_tests.harness.cloudwatch import CLOCKS_DIFFER_BY, Logs
from integration_tests.harness.table import HOUR_MS, ROOM_PREFIX, unknown_connection_id
from integration_tests.targets.interface import Capability
from integration_tests.targets.privacy import SECRET, leaks, log_groups
from scripts.stage_url import in_room
from scripts.waiting import eventually

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable
    from integration_tests.targets.interface import Target

REFUSED = (
    SECRET,
    f'"{SECRET}"',
    f'["{SECRET}"]',
    f'{{"action":"{SECRET}"}}',
    f'{{"action":"sendmessage","{SECRET}":1}}',
    f'{{"action":"sendmessage","data":"{SECRET}","id":["{SECRET}"]}}',
    f'{{"action":"sendmessage","data":"{SECRET}","id":"{SECRET * 3}"}}',
    f'{{"action":"sendmessage","data":"{SECRET}","to":"{SECRET}"}}',
    rf'{{"action":"sendmessage","data":"{SECRET} \ud800"}}',
    f'{{"action":"sendmessage","data":"{SECRET}","deep":{"[" * 10_000}',
)
"""Messages that are answered with an error, for each reason."""
TOKENS = ["roomcast.text", f"roomcast.bearer.{SECRET}"]
HEADERS = {"Authorization": f"Bearer {SECRET}", "Cookie": f"session={SECRET}", "X-Api-Key": SECRET}
"""Places of a handshake where clients put tokens; others are in the query."""
LINES_WITHIN = 120.0
"""Seconds in which CloudWatch is to show a line."""


@pytest.mark.needs_table
@pytest.mark.requires(Capability.LOGS)
@pytest.mark.requires(Capability.ANY_HANDSHAKE)
async def test_nothing_that_clients_say_is_in_the_logs(crowd: Crowd, target: Target, table: ConnectionsTable) -> None:
    assert target.aws is not None
    began_at = time.time() - CLOCKS_DIFFER_BY
    room = f"{ROOM_PREFIX}{SECRET}"
    url = f"{in_room(crowd.url, room)}&token={SECRET}"
    sender, other = [await Client.connect(url, subprotocols=TOKENS, headers=HEADERS) for _ in range(2)]
    crowd.clients += [sender, other]
    for query in (f"room={SECRET}%20{SECRET}", f"room={room}&room={room}", f"room=&token={SECRET}"):
        with pytest.raises(InvalidStatus):
            await Client.connect(f"{crowd.url}?{query}", subprotocols=TOKENS, headers=HEADERS)
    with pytest.raises(InvalidStatus):
        await Client.connect(url, subprotocols=[SECRET], headers=HEADERS)
    dead_id = unknown_connection_id()
    await table.add_member(room, dead_id, age_ms=HOUR_MS)

    for message in REFUSED:
        await sender.send_raw(message)
        assert "error" in await sender.receive_json()
    await sender.say(SECRET, id=SECRET)
    await other.expect(SECRET)
    assert SECRET in "".join([(await sender.receive()).text for _ in range(2)])
    await table.remove_member(room, await sender.whoami())
    await sender.say(SECRET, id=SECRET)
    assert (await sender.receive_json())["error"]["code"] == "not_joined"
    await other.say(SECRET)
    await other.expect(SECRET)

    logs = Logs(target.aws.logs, log_groups(target, target.aws.logs))
    what = "the lines of both fan-outs in the logs"
    await eventually(lambda: number_of_fan_outs(logs, began_at), 2, within=LINES_WITHIN, every=0.5, what=what)
    assert await asyncio.to_thread(leaks, target, began_at) == []


async def number_of_fan_outs(logs: Logs, since: float) -> int:
    """Return how many messages of this test the logs show. This proves that the right logs are read, and late enough.

    The count stops at two, because a stage in use logs other messages, too.
    """
    return min(2, len({record["request_id"] for record in await logs.records(since, "fan-out")}))
