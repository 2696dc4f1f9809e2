"""A call that its client repeats although it was answered gets the first answer again.

Beside a busy Terraform one answer in some thousand is lost, and the SDK repeats the call within 0.1 s.
AWS executes it once more, so that a creation finds its own object and ends in "already exists". No test is about a
lost answer, so none is lost here.
"""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ministack import app

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from scripts.local.ministack.management import Response

logger = logging.getLogger(__name__)

INVOCATION = "amz-sdk-invocation-id"
"""Header of AWS's SDKs, the same in each attempt of one call."""
KEPT = 1000
"""Answers: more than any client gets before it repeats a call."""

_answers: OrderedDict[str, Response] = OrderedDict()
"""Answers to changes that succeeded, by the call's id."""


@replaces(app, "_dispatch_service_request")
async def dispatch(
    original: Callable[..., Awaitable[Response]], method: str, path: str, headers: Mapping[str, str], *request: Any
) -> Response:
    """Answer a call, a repeated one as before."""
    call = headers.get(INVOCATION, "")
    if call in _answers:
        logger.warning("%s %s: asked once more, although answered", method, path)
        status, answered, content = _answers[call]
        return status, dict(answered), content
    response = await original(method, path, headers, *request)
    if call and method not in {"GET", "HEAD"} and response[0] < 300 and isinstance(response[2], bytes):
        _answers[call] = response[0], dict(response[1]), response[2]
        while len(_answers) > KEPT:
            _answers.popitem(last=False)
    return response
