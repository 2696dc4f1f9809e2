"""The IAM action and the resource of a request that MiniStack takes for another one."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ministack.core import iam_actions

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable

OF_BATCH = {
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}


@replaces(iam_actions, "extract_iam_action")
def extract_iam_action(original: Callable[..., str | None], *request: Any) -> str | None:
    """Return the action that the request needs, or None if it needs none."""
    action = original(*request)
    if action == "lambda:PutFunctionConcurrency" and request[1] == "GET":
        return "lambda:GetFunctionConcurrency"
    return action if action is None else OF_BATCH.get(action, action)


@replaces(iam_actions, "extract_resource_arn")
def extract_resource_arn(original: Callable[..., str], service: str, *request: Any) -> str:
    """Return the ARN of what a request is about: the path of GetParametersByPath, the principal of a simulation."""
    found = original(service, *request)
    if service == "iam":
        body = next((each for each in request if isinstance(each, bytes)), b"")
        return parse_qs(body.decode(errors="replace")).get("PolicySourceArn", [found])[0]
    if service != "ssm" or found != "*":
        return found
    *_, body, _, region, account = request
    try:
        path = json.loads(body)["Path"]
    except (ValueError, KeyError, TypeError):
        return found
    return f"arn:aws:ssm:{region}:{account}:parameter/{path.strip('/')}"
