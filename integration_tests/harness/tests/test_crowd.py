"""Clients prove nothing about messages that the test did not look at."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from integration_tests.harness.client import Client, Message
from integration_tests.harness.cloudwatch import Logs
from integration_tests.harness.crowd import Crowd, expect_everywhere, expect_in_any_order, settle
from integration_tests.harness.table import ConnectionsTable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def crowd_of(greeting: str | bytes | None, *, closes: bool = False) -> AsyncIterator[Crowd]:
    """Give a crowd on a stage that greets each client, and closes the connection on request."""

    async def handle(connection: ServerConnection) -> None:
        if greeting is not None:
            await connection.send(greeting)
        if closes:
            await connection.close(1011)
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        yield Crowd(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/live")


async def test_quiet_clients_are_fine() -> None:
    async with crowd_of(None) as crowd:
        await crowd.join_many("room", 3)
        await crowd.finish()


async def test_unexpected_message_is_a_fault_even_if_its_client_has_left() -> None:
    async with crowd_of("boo") as crowd:
        client = await crowd.join("room")
        await client.settle()
        await client.close()
        with pytest.raises(AssertionError, match=r"that the test did not expect.*boo"):
            await crowd.finish()


async def test_client_that_was_disconnected_has_not_looked_at_everything() -> None:
    async with crowd_of(None, closes=True) as crowd:
        client = await crowd.join("room")
        await client.connection.wait_closed()
        with pytest.raises(ConnectionClosed):
            await settle([client])
        with pytest.raises(AssertionError, match="were disconnected"):
            await crowd.finish()


async def test_end_that_the_test_waited_for_is_fine() -> None:
    async with crowd_of(None, closes=True) as crowd:
        assert await (await crowd.join("room")).closed_by_server() == 1011
        await crowd.finish()


async def test_client_whose_reader_failed_has_not_looked_at_everything() -> None:
    def fail(message: Message) -> None:
        raise ValueError(message.text)

    async with crowd_of("hello") as crowd:
        client = await Client.connect(crowd.url, "room", on_message=fail)
        crowd.clients.append(client)
        with pytest.raises(AssertionError, match="could not read"):
            await client.receive()
        with pytest.raises(AssertionError, match="could not read"):
            await crowd.finish()


async def test_bytes_that_are_no_text_are_an_unexpected_message() -> None:
    async with crowd_of(b"\xff\xfe") as crowd:
        client = await crowd.join("room")
        await client.settle()
        with pytest.raises(AssertionError, match=r"that the test did not expect.*xff.*xfe"):
            await crowd.finish()


async def test_expectations_of_no_client_prove_nothing() -> None:
    async with crowd_of("hello") as crowd:
        client = await crowd.join("room")
        await client.expect("hello")
        for expectation in (settle([]), expect_everywhere([], "hello"), expect_in_any_order(client, [])):
            with pytest.raises(AssertionError, match="nothing is proved"):
                await expectation


async def test_table_that_never_held_a_room_proves_nothing_about_it() -> None:
    table = ConnectionsTable(dynamodb=None, name="another", shards_per_room=1)  # type: ignore[arg-type] # never asked
    for ids, reason in (([], "no ids to look for"), (["AAAA="], "no member was ever seen")):
        with pytest.raises(AssertionError, match=reason):
            await table.expect_nothing_left("room", ids, within=1)


def test_no_log_group_proves_nothing() -> None:
    with pytest.raises(ValueError, match="no log group"):
        Logs(None, [])  # type: ignore[arg-type] # never asked
