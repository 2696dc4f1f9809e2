"""The answer to a handshake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from scripts.local.ministack.tests.apis import ANSWER_OK, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.http11 import Response

    from scripts.local.ministack.tests.apis import Api

REFUSE = """
def handler(event, context):
    return {"statusCode": 401}
"""
FAILURES = {
    "raises": "raise RuntimeError('secret')",
    "answers nothing": "return None",
    "answers text": "return 'hello'",
    "answers without a status": "return {}",
    "answers an impossible status": "return {'statusCode': 42}",
    "takes too long": "import time; time.sleep(3)",
}
CHOOSE_CHAT = """
def handler(event, context):
    return {"statusCode": 200, "headers": {"sec-websocket-protocol": "chat"}}
"""


async def handshake(api: Api, **options: Any) -> Response:
    """Return the HTTP response to a handshake."""
    try:
        async with api.connect(**options) as socket:
            assert socket.response is not None
            return socket.response
    except InvalidStatus as refused:
        return refused.response


async def test_refused_with_the_functions_own_status(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    assert (await handshake(on_corrected(REFUSE))).status_code == 401
    assert (await handshake(on_plain(REFUSE))).status_code == 403


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_refused_with_502_when_the_function_fails(on_corrected: Callable[..., Api], failure: str) -> None:
    api = on_corrected(f"def handler(event, context):\n    {failure}", timeout=1)
    response = await handshake(api)
    assert response.status_code == 502
    assert json.loads(response.body or b"")["message"] == "Internal server error"


async def test_plain_ministack_refuses_with_403_or_not_at_all(on_plain: Callable[..., Api]) -> None:
    raising, without_status = FAILURES["raises"], FAILURES["answers without a status"]
    assert (await handshake(on_plain(f"def handler(event, context):\n    {raising}"))).status_code == 403
    assert (await handshake(on_plain(f"def handler(event, context):\n    {without_status}"))).status_code == 101


async def test_refused_with_504_at_the_integrations_timeout(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    slow = "def handler(event, context):\n    import time; time.sleep(1); return {'statusCode': 200}"
    patience = {"TimeoutInMillis": 100}
    assert (await handshake(on_corrected(slow, integration=patience))).status_code == 504
    assert (await handshake(on_plain(slow, integration=patience))).status_code == 101


async def test_the_chosen_subprotocol_is_echoed(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    offer = [Subprotocol("mqtt"), Subprotocol("chat")]
    async with on_corrected(CHOOSE_CHAT).connect(subprotocols=offer) as socket:
        assert socket.subprotocol == "chat"
    async with on_plain(CHOOSE_CHAT).connect(subprotocols=offer) as socket:
        assert socket.subprotocol is None


async def test_no_subprotocol_unless_the_function_chooses_one(on_corrected: Callable[..., Api]) -> None:
    async with on_corrected(ANSWER_OK).connect(subprotocols=[Subprotocol("chat")]) as socket:
        assert socket.subprotocol is None


async def test_a_stage_that_does_not_exist_is_forbidden(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    assert (await handshake(on_corrected(), stage="other")).status_code == 403
    assert (await handshake(on_plain(), stage="other")).status_code == 101


async def test_a_stage_without_a_deployment_is_forbidden(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    for deploy, status in ((on_corrected, 403), (on_plain, 101)):
        api = deploy()
        client("apigatewayv2", api.endpoint).create_stage(ApiId=api.api_id, StageName="bare")
        assert (await handshake(api, stage="bare")).status_code == status
