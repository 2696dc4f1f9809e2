"""What a client sees of its handshake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.targets.ministack.tests.apis import Api

pytestmark = pytest.mark.without_target

REFUSE = """
def handler(event, context):
    return {"statusCode": 401}
"""
RAISE = """
def handler(event, context):
    raise RuntimeError("secret")
"""


async def status_of(api: Api, **options: str) -> int:
    """Return the HTTP status of a handshake."""
    try:
        async with api.connect(**options) as socket:
            assert socket.response is not None
            return socket.response.status_code
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_the_handlers_status_is_the_handshakes(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    assert await status_of(on_corrected(REFUSE)) == 401
    assert await status_of(on_plain(REFUSE)) == 403


async def test_an_exception_refuses_with_502(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    assert await status_of(on_corrected(RAISE)) == 502
    assert await status_of(on_plain(RAISE)) == 403
