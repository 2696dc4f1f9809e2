"""Stage and route throttling."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from scripts.local.ministack.tests.apis import ANSWER_OK
from scripts.local.ministack.tests.test_messages import received

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.local.ministack.tests.apis import Api

ECHO = "def handler(event, context):\n    return {'statusCode': 200, 'body': event.get('body', '')}"
NONE_AFTER_THREE = {"ThrottlingRateLimit": 0.001, "ThrottlingBurstLimit": 3}
BLOCKED = {"ThrottlingRateLimit": 0, "ThrottlingBurstLimit": 0}
PLENTY = {"ThrottlingRateLimit": 1000, "ThrottlingBurstLimit": 1000}


async def statuses(api: Api, handshakes: int) -> Counter[int]:
    """Return how often each status answered a number of handshakes."""

    async def one() -> int:
        try:
            async with api.connect():
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    return Counter(await asyncio.gather(*(one() for _ in range(handshakes))))


async def test_handshakes_beyond_the_burst_get_429(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    stage = {"DefaultRouteSettings": NONE_AFTER_THREE}
    assert await statuses(on_corrected(ANSWER_OK, stage=stage), 5) == {101: 3, 429: 2}
    assert await statuses(on_plain(ANSWER_OK, stage=stage), 5) == {101: 5}


async def test_messages_beyond_the_burst_get_an_error_frame(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    stage = {"RouteSettings": {"$default": NONE_AFTER_THREE}}
    answers = {}
    for make in (on_corrected, on_plain):
        async with make(ECHO, stage=stage, two_way=True).connect() as socket:
            for _ in range(5):
                await socket.send('{"message": "served"}')
            received_messages = [json.loads(await received(socket))["message"] for _ in range(5)]
            answers[make] = Counter(received_messages)
    assert answers[on_corrected] == {"served": 3, "Too Many Requests": 2}
    assert answers[on_plain] == {"served": 5}


@pytest.mark.parametrize(
    ("default", "connect", "status"),
    [
        pytest.param(BLOCKED, None, 429, id="0 blocks everything"),
        pytest.param(BLOCKED, PLENTY, 101, id="a route's own settings count"),
        pytest.param(PLENTY, BLOCKED, 429, id="not the stage's beside them"),
        pytest.param(BLOCKED, {"DetailedMetricsEnabled": True}, 101, id="of which they inherit nothing"),
    ],
)
async def test_which_settings_count(
    on_corrected: Callable[..., Api], default: dict[str, int], connect: dict[str, int] | None, status: int
) -> None:
    routes = {"RouteSettings": {"$connect": connect}} if connect else {}
    api = on_corrected(ANSWER_OK, stage={"DefaultRouteSettings": default, **routes})
    assert await statuses(api, 1) == {status: 1}


async def test_tokens_come_back_at_the_rate(on_corrected: Callable[..., Api]) -> None:
    settings = {"ThrottlingRateLimit": 20, "ThrottlingBurstLimit": 1}
    async with on_corrected(ECHO, stage={"RouteSettings": {"$default": settings}}, two_way=True).connect() as socket:
        served = 0
        start = asyncio.get_running_loop().time()
        while served < 5:
            await socket.send('{"message": "served"}')
            served += json.loads(await received(socket))["message"] == "served"
        assert asyncio.get_running_loop().time() - start > 4 / 20
