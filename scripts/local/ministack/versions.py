"""Versions and aliases: published with a function, with policies of their own, and within the function's concurrency.

An environment of a version ends when no alias serves the version any more; Lambda ends idle ones within minutes.
"""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.services import lambda_svc

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.local.ministack.management import Response

LATEST = "$LATEST"


def published(original: Callable[..., Response], name: str, request: Mapping[str, Any], *arguments: Any) -> Response:
    """Create or change a function, and publish a version as PublishVersion does: once for each change."""
    response = original(*arguments, {key: value for key, value in request.items() if key != "Publish"})
    if response[0] >= 300 or not request.get("Publish"):
        return response
    status, headers, body = lambda_svc._publish_version(name, {})
    lambda_svc._schedule_state_transition(name, lambda_svc._LAMBDA_STATE_TRANSITION_DELAY)
    return (response[0] if status < 300 else status), headers, body


@replaces(lambda_svc, "_create_function")
def create_function(original: Callable[..., Response], request: Mapping[str, Any]) -> Response:
    """Create a function; answer with the version that was published, if one was asked for."""
    return published(original, request.get("FunctionName", ""), request)


@replaces(lambda_svc, "_update_code")
def update_code(original: Callable[..., Response], name: str, request: Mapping[str, Any]) -> Response:
    """Change a function's code; answer with the version that was published, if one was asked for."""
    return published(original, name, request, name)


@replaces(lambda_svc, "_get_function")
def get_function(original: Callable[..., Response], name: str, qualifier: str | None = None) -> Response:
    """Return a function, without its concurrency for a version or an alias."""
    response = original(name, qualifier)
    if response[0] >= 300 or not qualifier:
        return response
    answer: Response = lambda_svc.json_response(
        {key: value for key, value in json.loads(response[2]).items() if key != "Concurrency"}
    )
    return answer


@replaces(lambda_svc, "_reserved_concurrency")
def reserved_concurrency(original: Callable[..., int | None], function: Any, config: Mapping[str, Any]) -> int | None:
    """Return the function's reserved concurrency, which holds for all of its versions together."""
    return original(lambda_svc._functions.get(config.get("FunctionName")) or function, config)


@replaces(lambda_svc, "_create_alias")
def create_alias(original: Callable[..., Response], name: str, request: Mapping[str, Any]) -> Response:
    """Create an alias of a version that exists."""
    return missing_version(name, request) or original(name, request)


@replaces(lambda_svc, "_update_alias")
def update_alias(original: Callable[..., Response], name: str, alias: str, request: Mapping[str, Any]) -> Response:
    """Let an alias serve another version, and end the environments of the one before."""
    before = served(name, alias)
    response = missing_version(name, request) or original(name, alias, request)
    if response[0] < 300:
        end_environments(name, before)
    return response


@replaces(lambda_svc, "_delete_alias")
def delete_alias(original: Callable[..., Response], name: str, alias: str) -> Response:
    """Delete an alias with its policy."""
    before = served(name, alias)
    response = original(name, alias)
    if response[0] < 300:
        policy = lambda_svc._functions[name]["policy"]
        arn = lambda_svc._policy_resource_arn(name, alias)
        policy["Statement"] = [each for each in policy["Statement"] if each["Resource"] != arn]
        end_environments(name, before)
    return response


def missing_version(name: str, request: Mapping[str, Any]) -> Response | None:
    """Return the answer to a request that names a version which does not exist, or None."""
    function, version = lambda_svc._functions.get(name), request.get("FunctionVersion", LATEST)
    if function is None or version == LATEST or version in function["versions"]:
        return None
    answer: Response = lambda_svc._function_qualifier_not_found(name, version)
    return answer


def served(name: str, alias: str) -> str | None:
    """Return the version that an alias serves, or None without the alias."""
    version: str | None = lambda_svc._functions.get(name, {}).get("aliases", {}).get(alias, {}).get("FunctionVersion")
    return version


def end_environments(name: str, version: str | None) -> None:
    """End the environments of a version that no alias serves; one that is busy ends after its invocation."""
    aliases = lambda_svc._functions.get(name, {}).get("aliases", {}).values()
    if version not in {None, LATEST, *(alias["FunctionVersion"] for alias in aliases)}:
        scope = {"account": lambda_svc.get_account_id(), "region": lambda_svc.get_region()}
        lambda_svc.invalidate_worker(name, qualifier=version, **scope)


def statements_of(name: str, qualifier: str | None) -> list[dict[str, Any]]:
    """Return the statements of one policy: of the unqualified function, of a version, or of an alias."""
    arn = lambda_svc._policy_resource_arn(name, qualifier)
    policy = lambda_svc._functions.get(name, {}).get("policy", {"Statement": []})
    return [each for each in policy["Statement"] if each["Resource"] == arn]


@replaces(lambda_svc, "_get_policy")
def get_policy(original: Callable[..., Response], name: str, query: Any = None, path: str | None = None) -> Response:
    """Return one policy, which for the unqualified function has no statements of its aliases."""
    response = original(name, query, path)
    qualifier = lambda_svc._qualifier_from_path_or_query(path, query)
    if response[0] >= 300 or qualifier:
        return response
    if not (statements := statements_of(name, None)):
        return without_policy()
    answer = json.loads(response[2])
    policy = {**json.loads(answer["Policy"]), "Statement": statements}
    changed: Response = lambda_svc.json_response({**answer, "Policy": json.dumps(policy)})
    return changed


@replaces(lambda_svc, "_remove_permission")
def remove_permission(
    original: Callable[..., Response], name: str, identifier: str, query: Any, path: str | None = None
) -> Response:
    """Remove a statement from one policy; MiniStack removes it from those of aliases as well."""
    qualifier = lambda_svc._qualifier_from_path_or_query(path, query)
    if qualifier or name not in lambda_svc._functions:
        return original(name, identifier, query, path)
    removed = [each for each in statements_of(name, None) if each["Sid"] == identifier]
    if not removed:
        return without_policy()
    policy = lambda_svc._functions[name]["policy"]
    policy["Statement"] = [each for each in policy["Statement"] if each not in removed]
    return 204, {}, b""


@replaces(lambda_svc, "_add_permission")
def add_permission(
    original: Callable[..., Response],
    name: str,
    request: Mapping[str, Any],
    query: Any = None,
    path: str | None = None,
) -> Response:
    """Add a statement to one policy; its id must be new in that policy alone."""
    qualifier = lambda_svc._qualifier_from_path_or_query(path, query)
    identifier = request.get("StatementId")
    own = {each["Sid"] for each in statements_of(name, qualifier)}
    others = {each["Sid"] for each in lambda_svc._functions.get(name, {}).get("policy", {}).get("Statement", [])} - own
    if identifier not in others:
        return original(name, request, query, path)
    response = original(name, {**request, "StatementId": lambda_svc.new_uuid()}, query, path)
    if response[0] < 300:
        statement = statements_of(name, qualifier)[-1]
        statement["Sid"] = identifier
        response = lambda_svc.json_response({"Statement": json.dumps(statement)}, 201)
    return response


def without_policy() -> Response:
    """Return the answer for a policy, or a statement, that does not exist."""
    message = "No policy is associated with the given resource."
    answer: Response = lambda_svc.error_response_json("ResourceNotFoundException", message, 404)
    return answer
