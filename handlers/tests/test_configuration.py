"""Every setting reaches the part that it is for, in every function that is given it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.fanout import Engine

HANDLERS = Path(__file__).parents[1]
NAMES = sorted(file.stem for file in HANDLERS.glob("*.py") if "fanout.Engine(" in file.read_text())
USERS_OF_THE_TABLE = [name for name in NAMES if "rooms.Rooms(" in (HANDLERS / f"{name}.py").read_text()]
ENVIRONMENT = {
    "AWS_REGION": "cn-north-1",
    "AWS_ENDPOINT_URL": "",
    "ROOMCAST_DNS_SUFFIX": "amazonaws.com.cn",
    "ROOMCAST_HTTP2": "false",
    "ROOMCAST_MANAGEMENT_ENDPOINT": "https://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/v2",
    "ROOMCAST_PACE": "2.5",
    "ROOMCAST_SHARDS_PER_ROOM": "4",
    "ROOMCAST_SHARDS_READ": "6",
    "ROOMCAST_TABLE_NAME": "members",
    "ROOMCAST_QUEUE_FIFO": "true",
    "ROOMCAST_QUEUE_URL": "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/fanout.fifo",
}


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Starts a function as Lambda does: its module is executed in an environment of its own."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def execute(name: str) -> Any:
        specification = importlib.util.spec_from_file_location(f"cold_{name}", HANDLERS / f"{name}.py")
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module

    return execute


@pytest.mark.parametrize("name", NAMES)
def test_every_function_that_posts_does_so_over_the_stages_connections(start: Callable[[str], Any], name: str) -> None:
    engine: Engine = start(name).ENGINE
    signer = engine._signer

    assert engine._endpoint.host == "a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn"
    assert engine._endpoint.path == "/v2"
    assert engine._endpoint.tls
    assert (signer.service, signer.region) == ("execute-api", "cn-north-1")


@pytest.mark.parametrize("name", ["sendmessage", "fanout_worker"])
def test_messages_are_sent_at_the_given_pace(start: Callable[[str], Any], name: str) -> None:
    module = start(name)

    assert module.ENGINE._bucket.pace == 2.5
    assert module.DELIVERY._engine is module.ENGINE


@pytest.mark.parametrize("name", ["sendmessage", "fanout_worker"])
@pytest.mark.parametrize(("text", "offered"), [("false", ["http/1.1"]), ("true", ["h2", "http/1.1"])])
def test_http_2_is_offered_unless_it_is_turned_off(
    start: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, name: str, text: str, offered: list[str]
) -> None:
    monkeypatch.setenv("ROOMCAST_HTTP2", text)

    assert start(name).ENGINE._endpoint._protocols == offered


@pytest.mark.parametrize("name", USERS_OF_THE_TABLE)
def test_the_table_is_the_given_one(start: Callable[[str], Any], name: str) -> None:
    rooms = start(name).ROOMS
    client = rooms._database._client

    assert rooms.table_name == "members"
    assert (rooms.shards_per_room, rooms.shards_read) == (4, 6)
    assert client._endpoint.host == "dynamodb.cn-north-1.amazonaws.com.cn"
    assert (client._signer.service, client._signer.region) == ("dynamodb", "cn-north-1")
    assert rooms._database._target == "DynamoDB_20120810"


@pytest.mark.parametrize("name", ["sendmessage", "fanout_worker"])
def test_the_queue_is_the_given_one(start: Callable[[str], Any], name: str) -> None:
    queue = start(name).QUEUE
    client = queue._service._client

    assert queue._url == ENVIRONMENT["ROOMCAST_QUEUE_URL"]
    assert queue._is_fifo
    assert client._endpoint.host == "sqs.cn-north-1.amazonaws.com.cn"
    assert (client._signer.service, client._signer.region) == ("sqs", "cn-north-1")
    assert queue._service._target == "AmazonSQS"


def test_without_a_queue_messages_are_sent_at_once(
    start: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOMCAST_QUEUE_URL", "")

    assert start("sendmessage").QUEUE is None
