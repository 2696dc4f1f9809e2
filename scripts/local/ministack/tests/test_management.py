"""The ``@connections`` API."""

from __future__ import annotations

import asyncio
import socket as sockets
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from scripts.local.ministack.tests.apis import RECORD_EVENTS, client
from scripts.local.ministack.tests.test_messages import received

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from websockets.asyncio.client import ClientConnection

    from scripts.local.ministack.tests.apis import Api

NOBODY = "AAAAAAAAAAAAAAA="
KB = 1024
POSTS = 100


@asynccontextmanager
async def connected(api: Api, **options: Any) -> AsyncIterator[tuple[ClientConnection, str]]:
    """Open a connection; yield its socket and id."""
    async with api.connect(**options) as socket:
        (event,) = api.events("CONNECT")
        yield socket, event["requestContext"]["connectionId"]


def status_of(call: Callable[..., Any], **parameters: Any) -> int:
    """Return the HTTP status of a boto3 call."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        answer = error.response
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


def post(api: Api, connection_id: str, data: bytes = b"hello", **options: str) -> int:
    """Return the status of a post."""
    return status_of(api.management(**options).post_to_connection, ConnectionId=connection_id, Data=data)


async def test_signed_posts_reach_an_id_that_has_to_be_encoded(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(RECORD_EVENTS)
    async with connected(api) as (socket, connection_id):
        assert connection_id.endswith("=")
        assert post(api, connection_id) == 200
        assert await received(socket) == "hello"
        assert post(on_corrected(), connection_id) == 410  # through another API


async def test_an_id_of_another_form_is_a_bad_request(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    assert post(on_corrected(), NOBODY) == 410
    assert post(on_plain(), NOBODY) == 410
    for malformed in ("0123456789abcdef", "too-short=", "AAAAAAAAAAAAAA/="):
        assert post(on_corrected(), malformed) == 400
        assert post(on_plain(), malformed) == 410


async def test_over_128_kb_is_too_large(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    for make, status in ((on_corrected, 413), (on_plain, 200)):
        api = make(RECORD_EVENTS)
        async with connected(api) as (socket, connection_id):
            assert post(api, connection_id, b"x" * (128 * KB)) == 200
            assert len(await received(socket)) == 128 * KB
            assert post(api, connection_id, b"x" * (128 * KB + 1)) == status


async def test_the_stage_must_be_in_the_url(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    for make, statuses in ((on_corrected, [403, 403, 410]), (on_plain, [404, 200, 200])):
        api = make(RECORD_EVENTS)
        client("apigatewayv2", api.endpoint).create_stage(ApiId=api.api_id, StageName="second")
        async with connected(api) as (_, connection_id):
            assert [post(api, connection_id, stage=stage) for stage in ("", "/other", "/second")] == statuses


async def test_an_unknown_api_is_forbidden(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    for make, status in ((on_corrected, 403), (on_plain, 410)):
        api = make()
        api.api_id = "abcdef01"
        assert post(api, NOBODY) == status


async def test_a_slow_reader_is_not_posted_to_without_end(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(RECORD_EVENTS)
    async with connected(api, sock=small_buffered(api), max_queue=1) as (socket, connection_id):
        sent = await fill(api, connection_id)
        assert sent < POSTS
        for _ in range(sent):
            await received(socket)
        assert post(api, connection_id, b"again") == 200
        assert await received(socket) == "again"


async def test_plain_ministack_takes_posts_without_end(on_plain: Callable[..., Api]) -> None:
    api = on_plain(RECORD_EVENTS)
    async with connected(api, sock=small_buffered(api), max_queue=1) as (socket, connection_id):
        assert await fill(api, connection_id) == POSTS
        socket.transport.abort()


async def fill(api: Api, connection_id: str) -> int:
    """Post 100 KB up to ``POSTS`` times to a client that does not read; return the number of posts before a 429."""
    management = api.management()
    for number in range(POSTS):
        status = await asyncio.to_thread(
            status_of, management.post_to_connection, ConnectionId=connection_id, Data=b"x" * 100 * KB
        )
        if status == 429:
            return number
        assert status == 200
    return POSTS


def small_buffered(api: Api) -> sockets.socket:
    """Return a TCP connection with a small receive buffer."""
    connection = sockets.socket()
    connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", int(api.endpoint.rpartition(":")[2])))
    return connection


async def test_a_connection_is_described(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    api = on_corrected(RECORD_EVENTS)
    before = datetime.now(UTC).replace(microsecond=0)
    async with connected(api) as (_, connection_id):
        answer = api.management().get_connection(ConnectionId=connection_id)
        assert before <= answer["ConnectedAt"] <= answer["LastActiveAt"]
        assert answer["Identity"]["SourceIp"] == "127.0.0.1"
    plain = on_plain(RECORD_EVENTS)
    async with connected(plain) as (_, connection_id):
        assert "ConnectedAt" not in plain.management().get_connection(ConnectionId=connection_id)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_deleted_connection_is_gone(on_corrected: Callable[..., Api], times: int) -> None:
    api = on_corrected(RECORD_EVENTS)
    async with connected(api) as (socket, connection_id):
        delete = api.management().delete_connection
        statuses = [status_of(delete, ConnectionId=connection_id) for _ in range(times)]
        assert statuses == [204, 410][:times]
        await socket.wait_closed()
        assert socket.close_code == 1000
