"""Each expectation fails a test that does not meet it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from integration_tests.harness.crowd import Crowd, expect_everywhere, expect_in_any_order
from integration_tests.harness.table import ConnectionsTable
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

SOON = 0.2


@asynccontextmanager
async def greeted(*greetings: tuple[str, ...]) -> AsyncIterator[Crowd]:
    """Give a crowd on a stage that sends these texts, another list to each member."""
    waiting = list(greetings)

    async def handle(connection: ServerConnection) -> None:
        for text in waiting.pop(0):
            await connection.send(text)
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        crowd = Crowd(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/live")
        for _ in greetings:
            await crowd.join("room")
        yield crowd
        await asyncio.gather(*(client.close() for client in crowd.clients))


async def test_condition_that_stays_false_is_an_error_that_shows_the_last_observation() -> None:
    async def observe() -> str:
        return "something else"

    with pytest.raises(AssertionError, match="expected 'this', still observed 'something else'"):
        await eventually(observe, "this", within=SOON, every=0.01)


async def test_another_message_than_the_expected_one_is_an_error() -> None:
    async with greeted(("boo",)) as crowd:
        with pytest.raises(AssertionError, match="expected 'hello', received 'boo'"):
            await crowd.clients[0].expect("hello")


async def test_no_message_is_an_error() -> None:
    async with greeted(()) as crowd:
        with pytest.raises(AssertionError, match="received nothing"):
            await crowd.clients[0].receive(within=SOON)
        with pytest.raises(AssertionError, match="received nothing"):
            await crowd.clients[0].expect("hello", within=SOON)


async def test_a_connection_that_stays_open_although_it_should_be_closed_is_an_error() -> None:
    async with greeted(()) as crowd:
        with pytest.raises(TimeoutError):
            await crowd.clients[0].closed_by_server(within=SOON)


async def test_one_member_that_hears_something_else_is_an_error() -> None:
    async with greeted(("hello",), ("hello",), ("boo",)) as crowd:
        with pytest.raises(AssertionError, match="received 'boo'"):
            await expect_everywhere(crowd.clients, "hello")


@pytest.mark.parametrize("received", [("a", "a"), ("a", "c"), ("b", "b")])
async def test_one_message_twice_instead_of_each_once_is_an_error(received: tuple[str, str]) -> None:
    async with greeted(received) as crowd:
        with pytest.raises(AssertionError, match="missed"):
            await expect_in_any_order(crowd.clients[0], ["a", "b"])


async def test_any_order_is_any_order() -> None:
    async with greeted(("b", "a")) as crowd:
        await expect_in_any_order(crowd.clients[0], ["a", "b"])


class FakeDynamoDB:
    """Answers the reads of a table that never changes, two items a page, and one key of each batch at a time."""

    def __init__(self, members: Mapping[tuple[str, int], list[str]], connections: set[str]) -> None:
        self.members = members
        self.connections = connections
        self.consistent: list[bool] = []

    def get_paginator(self, _operation: str) -> FakeDynamoDB:
        """Stands for its own paginators, too."""
        return self

    def paginate(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Answer a query for one shard of a room, or count everything."""
        self.consistent.append(query.get("ConsistentRead", False))
        if "KeyConditionExpression" not in query:
            yield {"Count": sum(map(len, self.members.values()))}
            yield {"Count": len(self.connections)}
            return
        _, room, shard = query["ExpressionAttributeValues"][":room"]["S"].split("#")
        items = [{"sort_key": {"S": each}} for each in self.members.get((room, int(shard)), [])]
        for start in range(0, len(items) + 1, 2):
            yield {"Items": items[start : start + 2]}

    def batch_get_item(self, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        """Answer for the first key, and leave the others."""
        [(table, request)] = RequestItems.items()
        self.consistent.append(request.get("ConsistentRead", False))
        [key, *others] = request["Keys"]
        there = key["partition_key"]["S"].removeprefix("connection#") in self.connections
        unprocessed = {table: {**request, "Keys": others}} if others else {}
        return {"Responses": {table: [key] if there else []}, "UnprocessedKeys": unprocessed}


@pytest.fixture
def dynamodb() -> FakeDynamoDB:
    """Five members of a room in two shards, and one connection more."""
    return FakeDynamoDB(
        {("room", 0): ["a=", "b=", "c="], ("room", 1): ["d=", "e="]}, {"a=", "b=", "c=", "d=", "e=", "z="}
    )


@pytest.fixture
def table(dynamodb: FakeDynamoDB) -> ConnectionsTable:
    return ConnectionsTable(dynamodb=dynamodb, name="connections", shards_per_room=2)  # type: ignore[arg-type]


async def test_every_page_of_every_shard_and_every_batch_is_read_consistently(
    table: ConnectionsTable, dynamodb: FakeDynamoDB
) -> None:
    assert await table.members("room") == {"a=", "b=", "c=", "d=", "e="}
    assert await table.members_by_shard("room") == [{"a=", "b=", "c="}, {"d=", "e="}]
    assert await table.connections(["a=", "e=", "x=", "z="]) == {"a=", "e=", "z="}
    assert await table.size() == 11
    assert all(dynamodb.consistent)


@pytest.mark.parametrize("left", ["member", "connection"])
async def test_items_left_in_the_table_are_an_error(table: ConnectionsTable, dynamodb: FakeDynamoDB, left: str) -> None:
    await table.members("room")
    dynamodb.members = {("room", 1): ["e="]} if left == "member" else {}
    dynamodb.connections = {"e="} if left == "connection" else set()

    with pytest.raises(AssertionError, match=r"still observed \{'e='\}"):
        await table.expect_nothing_left("room", ["a=", "e="], within=SOON)


async def test_nothing_left_is_fine(table: ConnectionsTable, dynamodb: FakeDynamoDB) -> None:
    await table.members("room")
    dynamodb.members, dynamodb.connections = {}, set()

    await table.expect_nothing_left("room", ["a=", "e="], within=SOON)
