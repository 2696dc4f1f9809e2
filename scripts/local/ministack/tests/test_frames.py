"""Limits on frames and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from scripts.local.ministack.tests.apis import RECORD_EVENTS, Api
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KB = 1024
REFUSED: dict[str, tuple[Any, int]] = {
    "a frame over 32 KB": ("x" * (32 * KB + 1), 1009),
    "a frame over 32 KB in bytes, not in characters": ("\N{EURO SIGN}" * (32 * KB // 3 + 1), 1009),
    "a message over 128 KB": (["x" * 32 * KB] * 4 + ["x"], 1009),
    "a binary frame": (b"x", 1003),
}
TAKEN: dict[str, Any] = {
    "a frame of 32 KB": "x" * 32 * KB,
    "a message of 128 KB": ["x" * 32 * KB] * 4,
}


async def close_code_after(api: Api, data: str | bytes | Iterable[str]) -> int:
    """Send data and return the server's close code."""
    async with api.connect() as socket:
        await socket.send(data)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code


@pytest.mark.parametrize(("data", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_too_much_is_refused(on_corrected: Callable[..., Api], data: Any, code: int) -> None:
    api = on_corrected(RECORD_EVENTS, routes=["$default", "$disconnect"])
    assert await close_code_after(api, data) == code
    await eventually(api.number_recorded, 1, within=10)
    assert api.events("DISCONNECT")[0]["requestContext"]["disconnectStatusCode"] == code


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN.keys())
async def test_the_most_that_is_allowed_arrives(on_corrected: Callable[..., Api], data: str | list[str]) -> None:
    api = on_corrected(RECORD_EVENTS, routes=["$default"])
    async with api.connect() as socket:
        await socket.send(data)
        await socket.send(data)
        await eventually(api.number_recorded, 2, within=10)
    assert {event["body"] for event in api.events()} == {"".join(data)}


@pytest.mark.parametrize(("data", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_plain_ministack_takes_it(on_plain: Callable[..., Api], data: Any, code: int) -> None:  # noqa: ARG001 - parametrized
    api = on_plain(RECORD_EVENTS, routes=["$default"])

    async def is_recorded() -> bool:
        return await api.number_recorded() > 0  # it may invoke a function that starts slowly twice

    async with api.connect() as socket:
        await socket.send(data)
        await eventually(is_recorded, expected=True, within=10)


async def test_compression_is_not_negotiated(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    for deploy, negotiated in ((on_corrected, False), (on_plain, True)):
        async with deploy().connect(compression="deflate") as socket:
            assert socket.response is not None
            assert ("Sec-WebSocket-Extensions" in socket.response.headers) == negotiated
