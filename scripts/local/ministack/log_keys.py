"""Keys of log groups that exist: AssociateKmsKey and DisassociateKmsKey."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import cloudwatch_logs

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from scripts.local.ministack.management import Response

ACTIONS = ("Logs_20140328.AssociateKmsKey", "Logs_20140328.DisassociateKmsKey")


@replaces(cloudwatch_logs, "handle_request")
async def handle_request(
    original: Callable[..., Awaitable[Response]],
    method: str,
    path: str,
    headers: Mapping[str, str],
    *body_and_query: Any,
) -> Response:
    """Set or remove the key that DescribeLogGroups tells."""
    if headers.get("x-amz-target") not in ACTIONS:
        return await original(method, path, headers, *body_and_query)
    request = json.loads(body_and_query[0])
    name = request["logGroupName"]
    group = cloudwatch_logs._log_groups.get(name)
    if group is None:
        message = f"The specified log group does not exist: {name}"
        return error_response_json("ResourceNotFoundException", message, 400)  # type: ignore[no-any-return] # untyped
    group["kmsKeyId"] = request.get("kmsKeyId")
    return json_response({})  # type: ignore[no-any-return] # untyped
