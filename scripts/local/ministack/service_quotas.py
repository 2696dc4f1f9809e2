"""Service Quotas, as far as something asks for them: the new connections a second of all WebSocket APIs."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions, router
from ministack.services import ssm

from scripts.local.ministack import settings
from scripts.local.ministack.buckets import bucket
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scripts.local.ministack.management import Response

TARGET = "ServiceQuotasV20190624"
AWS_HANDSHAKES = 500.0
"""Of an account whose quota AWS has not raised; here, one that was given none is told to have this one."""
_given = bucket(settings.HANDSHAKES)
QUOTAS = {("apigateway", "L-9ED1E49A"): AWS_HANDSHAKES if _given is None else _given.rate}
"""Values by service and code."""


def install() -> None:
    """Let requests to Service Quotas reach this module, by way of a service that MiniStack has."""
    router.SERVICE_PATTERNS["ssm"]["target_prefixes"].append(TARGET)


@replaces(ssm, "handle_request")
async def handle_request(
    original: Callable[..., Awaitable[Response]], method: str, path: str, headers: Any, body: bytes, *query: Any
) -> Response:
    """Answer GetServiceQuota; pass requests to Systems Manager to MiniStack."""
    target, _, operation = headers.get("x-amz-target", "").partition(".")
    if target != TARGET:
        return await original(method, path, headers, body, *query)
    fields = json.loads(body or b"{}")
    value = QUOTAS.get((fields.get("ServiceCode"), fields.get("QuotaCode")))
    if operation != "GetServiceQuota" or value is None:
        answer: dict[str, Any] = {"__type": "NoSuchResourceException", "Message": "The quota is not known here"}
        return 400, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()
    quota = {"ServiceCode": fields["ServiceCode"], "QuotaCode": fields["QuotaCode"], "Value": value}
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps({"Quota": quota}).encode()


@replaces(iam_actions, "extract_iam_action")
def extract_iam_action(original: Callable[..., str | None], *request: Any) -> str | None:
    """Return the action that a request needs: this service's own name stands before its operations."""
    action = original(*request)
    return "servicequotas:GetServiceQuota" if action == "ssm:GetServiceQuota" else action
