"""Lambda authorizers: only as permitted, 401 for a function that raises ``Unauthorized``, and AWS's check of answers.

An authorizer of a WebSocket API has no attributes but those that it was given.
"""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

from ministack.services import apigateway, lambda_svc

from scripts.local.ministack import permissions
from scripts.local.ministack.sessions import current
from scripts.local.ministack.stages import route_arn
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from scripts.local.ministack.management import Response

logger = logging.getLogger(__name__)

UNAUTHORIZED = "Unauthorized"
"""The text of the only error that API Gateway answers with 401."""
MAXIMUM_BYTES = 8192
"""Of an authorizer's answer."""
ACTION = "execute-api:Invoke"
GIVEN_OR_ABSENT = (
    "authorizerCredentialsArn",
    "authorizerPayloadFormatVersion",
    "authorizerResultTtlInSeconds",
    "enableSimpleResponses",
    "jwtConfiguration",
)
"""Attributes for which MiniStack has defaults of HTTP APIs."""


@replaces(apigateway, "_create_authorizer")
def create_authorizer(original: Callable[..., Response], api_id: str, request: dict[str, Any]) -> Response:
    """Create an authorizer, for a WebSocket API without defaults."""
    response = original(api_id, request)
    if response[0] >= 300 or apigateway._apis[api_id]["protocolType"] != "WEBSOCKET":
        return response
    authorizer = apigateway._authorizers[api_id][json.loads(response[2])["authorizerId"]]
    for name in GIVEN_OR_ABSENT:
        if name not in request:
            authorizer.pop(name, None)
    answer: Response = apigateway._apigw_response(authorizer, 201)
    return answer


@replaces(apigateway, "_authorize_ws_connect")
async def authorize(original: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Run the authorizer, and answer 401 if it raised ``Unauthorized``."""
    session = current.get()
    refusal, context = await original(*arguments)
    if refusal is not None and session.authorizer_error == UNAUTHORIZED:
        refusal = (401, UNAUTHORIZED)
    return refusal, context


@replaces(apigateway, "_invoke_request_authorizer_lambda")
async def invoke(
    original: Callable[..., Awaitable[Any]], authorizer: Mapping[str, Any], event: dict[str, Any], *owner: str
) -> Any:
    """Return the function's answer, or None if it failed, answered in another form, or may not be invoked."""
    session = current.get(None)
    if session is None:  # an HTTP API's
        return await original(authorizer, event, *owner)
    reference = apigateway._extract_lambda_ref_from_integration_uri(authorizer["authorizerUri"])
    function, config, name = lambda_svc._get_func_record_for_ref_in_scope(
        reference, account_id=owner[0], region=owner[1]
    )
    source_arn = route_arn(session.api_id, "authorizers", authorizer["authorizerId"])
    if function is None or config is None or source_arn is None:
        return None
    function_arn = authorizer["authorizerUri"].partition("/functions/")[2].removesuffix("/invocations")
    owning = lambda_svc._functions.get_scoped(*owner, name)  # the record of a version has no policy
    if owning is None or not permissions.permits(owning["policy"], function_arn, source_arn):
        logger.warning("%s has no permission to invoke %s", source_arn, function_arn)
        return None
    record = lambda_svc._execution_record_for_config(function, config)
    result = await apigateway.run_reentrant(
        lambda_svc._execute_function_with_config_scope, record, event, thread_name="ministack-apigw-authorizer"
    )
    if result.get("error"):
        session.authorizer_error = result["body"]["errorMessage"]
        return None
    return result["body"] if is_well_formed(result["body"]) else None


def is_well_formed(answer: object) -> bool:
    """Whether API Gateway reads an authorizer's answer: its size, and plain values in the context."""
    return (
        isinstance(answer, dict)
        and len(json.dumps(answer, separators=(",", ":")).encode()) <= MAXIMUM_BYTES
        and isinstance(answer.get("context") or {}, dict)
        and all(isinstance(value, str | int | float) for value in (answer.get("context") or {}).values())
    )


@replaces(apigateway, "_evaluate_authorizer_policy")
def evaluate(original: Callable[..., str], policy: Any, arn: str) -> str:
    """Evaluate the statements about invoking the API; MiniStack takes those about any action."""
    statements = policy.get("Statement") or []
    listed = statements if isinstance(statements, list) else [statements]
    about_it = [each for each in listed if isinstance(each, dict) and is_about_invoking(each.get("Action"))]
    return original({**policy, "Statement": about_it}, arn)


def is_about_invoking(actions: object) -> bool:
    """Whether one of a statement's actions is the one that connecting needs."""
    patterns = actions if isinstance(actions, list) else [actions]
    return any(isinstance(pattern, str) and matches(pattern, ACTION) for pattern in patterns)


def matches(pattern: str, action: str) -> bool:
    """Whether a policy's pattern matches an action, in any case."""
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, action, re.IGNORECASE) is not None
