"""The account's quotas for requests and for new connections."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from scripts.local.ministack.buckets import Account, Bucket, bucket
from scripts.local.ministack.tests.apis import RECORD, Api, client, deploy
from scripts.local.ministack.tests.conftest import CORRECTED, running
from scripts.local.ministack.tests.test_management import NOBODY, post, status_of
from scripts.local.ministack.tests.test_messages import received
from scripts.local.ministack.tests.test_metrics import of_stage
from scripts.local.ministack.tests.test_throttling import statuses
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANSWER_ID = f"""{RECORD}
def handler(event, context):
    record(event)
    return {{"statusCode": 200, "body": event["requestContext"]["connectionId"]}}
"""
NEVER_MORE = "0.001"
"""Requests a second: none in the time of a test."""


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def taken(of: Callable[[], bool]) -> int:
    """Take until nothing is left; return how often that went well."""
    count = 0
    while of():
        count += 1
    return count


def test_a_bucket_fills_at_its_rate_up_to_its_burst() -> None:
    clock = Clock()
    tokens = Bucket(8, 5, clock)

    assert taken(tokens.take) == 5
    clock.now += 0.3125
    assert taken(tokens.take) == 2  # the half stays
    clock.now += 0.0625
    assert taken(tokens.take) == 1
    clock.now += 60
    assert taken(tokens.take) == 5


def test_handshakes_take_of_both_quotas_and_refused_ones_of_none() -> None:
    clock = Clock()
    account = Account(requests=Bucket(100, 5, clock), handshakes=Bucket(1, 3, clock))

    assert taken(account.admits_handshake) == 3
    assert taken(account.admits_request) == 2
    clock.now += 1
    assert taken(account.admits_handshake) == 1
    assert taken(account.admits_request) == 4


def test_an_account_without_quotas_admits_everything() -> None:
    account = Account(bucket(""), bucket(""))

    assert all(account.admits_handshake() and account.admits_request() for _ in range(100_000))


@pytest.mark.parametrize("wrong", ["100", "100:", "0:5", "100:0", "-1:5", "nan:5", "inf:5", "100:50:5"])
def test_a_quota_of_another_form_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="must be a rate"):
        bucket(wrong)


async def test_clients_and_calls_share_the_quota_for_requests(on_plain: Callable[..., Api], tmp_path: Path) -> None:
    with running(CORRECTED, tmp_path, ROOMCAST_EMULATOR_REQUESTS=f"{NEVER_MORE}:5") as url:
        api = deploy(url, tmp_path, ANSWER_ID, two_way=True)
        async with api.connect() as socket:
            await socket.send("which?")
            connection_id = await received(socket)
            assert post(api, connection_id) == 200
            assert await received(socket) == "hello"
            assert status_of(api.management().get_connection, ConnectionId=connection_id) == 200
            await socket.send("which?")
            assert await received(socket) == connection_id

            await socket.send("which?")
            assert json.loads(await received(socket))["message"] == "Too Many Requests"
            assert post(api, connection_id) == post(api, NOBODY) == 429
            assert await statuses(api, 1) == {429: 1}
            assert len(api.events("CONNECT")) == 1
            assert of_stage(api, "ClientError") == 2

        async def disconnected() -> int:
            return len(api.events("DISCONNECT"))

        await eventually(disconnected, 1, within=20)

    plain = on_plain(ANSWER_ID)
    async with plain.connect() as socket:
        for _ in range(6):
            await socket.send("which?")
            await received(socket)


async def test_all_apis_share_the_quota_for_new_connections(tmp_path: Path) -> None:
    with running(CORRECTED, tmp_path, ROOMCAST_EMULATOR_HANDSHAKES=f"{NEVER_MORE}:3") as url:
        first, second = (deploy(url, tmp_path, ANSWER_ID, two_way=True) for _ in range(2))
        async with first.connect() as socket:
            assert await statuses(first, 1) + await statuses(second, 3) == Counter({101: 2, 429: 2})
            for _ in range(5):
                await socket.send("which?")
                assert len(await received(socket)) == len(NOBODY)
        with pytest.raises(InvalidStatus) as refused:
            await second.connect()
        assert json.loads(refused.value.response.body)["message"] == "Too Many Requests"
        assert len(second.events("CONNECT")) == 1


def test_quotas_are_told_to_principals_and_not_to_functions(tmp_path: Path) -> None:
    handler = """
import os

def handler(event, context):
    return {"seen": [name for name in os.environ if name.startswith("ROOMCAST_EMULATOR")]}
"""
    with running(CORRECTED, tmp_path, ROOMCAST_EMULATOR_REQUESTS="100:50", ROOMCAST_EMULATOR_HANDSHAKES="5:5") as url:
        api = deploy(url, tmp_path, handler)
        answer = client("lambda", url).invoke(FunctionName=api.function)["Payload"].read()
        throttle = client("apigateway", url).get_account()["throttleSettings"]
        code = {"ServiceCode": "apigateway", "QuotaCode": "L-9ED1E49A"}
        handshakes = client("service-quotas", url).get_service_quota(**code)["Quota"]["Value"]
    assert json.loads(answer) == {"seen": []}
    assert throttle == {"rateLimit": 100, "burstLimit": 50}
    assert handshakes == 5
