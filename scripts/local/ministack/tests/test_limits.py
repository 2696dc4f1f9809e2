"""The expressions of the handlers' limits, run by the handlers' own code against the emulator's table."""

from __future__ import annotations

import importlib
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest

from scripts.local.aws import REGION
from scripts.local.ministack.tests.apis import client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = int(time.time() * 1000)


@pytest.fixture
def rooms(corrected: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Makes the handlers' table, with a limit of members, a number of shards and an authorization."""
    name = f"limits-{secrets.token_hex(4)}"
    keys = ("partition_key", "HASH"), ("sort_key", "RANGE")
    client("dynamodb", corrected).create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    environment = {
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": corrected,
        "ROOMCAST_MANAGEMENT_ENDPOINT": corrected,
        "ROOMCAST_TABLE_NAME": name,
    }

    def made(maximum: int = 0, shards: int = 1, authorization: str = "NONE") -> Any:
        chosen = {
            "ROOMCAST_AUTHORIZATION": authorization,
            "ROOMCAST_MAXIMUM_ROOM_MEMBERS": str(maximum),
            "ROOMCAST_SHARDS_PER_ROOM": str(shards),
        }
        for variable, value in {**environment, **chosen}.items():
            monkeypatch.setenv(variable, value)
        settings = importlib.import_module("roomcast.settings").from_environment()
        tables.append(importlib.import_module("roomcast.rooms").Rooms(settings))
        return tables[-1]

    tables: list[Any] = []
    yield made
    for table in tables:
        for service in {table._database, *table._readers}:
            service._client.close()


def soon() -> float:
    return time.monotonic() + 20


def connection(name: str, **attributes: int) -> Any:
    return importlib.import_module("roomcast.members").Connection(name, NOW, {}, **attributes)


@pytest.mark.parametrize("shards", [1, 3])
def test_members_are_counted(rooms: Callable[..., Any], shards: int) -> None:
    full = importlib.import_module("roomcast.headcount").RoomFullError
    table = rooms(3, shards)
    for name in ("a=", "b=", "c="):
        table.join(connection(name), "lobby", soon())
    for _ in range(2):
        with pytest.raises(full):
            table.join(connection("d="), "lobby", soon())
    assert table.leave("a=", NOW, soon())
    assert not table.leave("a=", NOW, soon())
    table.join(connection("d="), "lobby", soon())
    members = list(table.members("lobby", soon()))
    assert sorted(each.connection_id for each in members) == ["b=", "c=", "d="]
    table.prune("lobby", members[:2], soon())
    table.prune("lobby", members[:2], soon())
    for name in ("e=", "f="):
        table.join(connection(name), "lobby", soon())
    with pytest.raises(full):
        table.join(connection("g="), "lobby", soon())


def test_items_end_with_the_token_and_are_not_counted(rooms: Callable[..., Any]) -> None:
    table = rooms(1, authorization="JWT")
    table.join(connection("a=", token_ends_at=int(time.time()) - 1), "lobby", soon())

    assert list(table.members("lobby", soon())) == []
    table.join(connection("b=", token_ends_at=int(time.time()) + 3600), "lobby", soon())
    assert [each.connection_id for each in table.members("lobby", soon())] == ["b="]


def test_named_members_are_found(rooms: Callable[..., Any]) -> None:
    steps = importlib.import_module("roomcast.steps")
    table = rooms()
    for name in ("a=", "b=", "c=", "d="):
        table.join(connection(name), "lobby", soon())

    found = steps.drive(steps.collect(table.present("lobby", 0, ["b=", "c=", "x="], soon())))
    assert [each.connection_id for each in found] == ["b=", "c=", "d="]


def test_messages_are_counted(rooms: Callable[..., Any]) -> None:
    allowance = importlib.import_module("roomcast.allowance")
    rate = allowance.of_rate(1.5)
    table = rooms()
    assert table.take("a=", rate, soon()) is None
    table.join(connection("a="), "lobby", soon())
    taken = [table.take("a=", rate, soon()) for _ in range(3)]
    assert [dict(each.rooms) for each in taken] == [{"lobby": 0}] * 3
    with pytest.raises(allowance.SpentError):
        table.take("a=", allowance.of_rate(0.001), soon())
