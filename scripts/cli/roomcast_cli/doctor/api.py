"""The API and its stage: what clients reach, and which functions it invokes."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from roomcast_cli.doctor.account import settings_of, stage_of
from roomcast_cli.doctor.checks import WARNING, Finding, group_of
from roomcast_cli.doctor.unmade import NotMade, NotThere

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roomcast_cli.doctor.answers import Answers

SELECTION = "$request.body.action"

WORKERS = {"authorizer", "fanout_worker", "kick", "presence", "publish", "sweeper"}
"""Functions without a route."""

OF_HANDSHAKES = {"connect", "default", "disconnect"}
"""Functions whose routes begin with a dollar sign."""

FUNCTION = re.compile(r":lambda:path/[^/]+/functions/(arn:[^/]+)/invocations$")

PRIVATE = re.compile(
    r"querystring|header|userAgent|\$context\.authorizer\.(?!requestId|status|principalId|error|latency|integration)"
)
"""What no access log should have: tokens, and what an authorizer knows about a client."""

SOURCES = {"aws:sourcearn", "aws:sourceaccount"}
"""Conditions on what a service invokes a function for."""

LIMITS = {"ThrottlingRateLimit": "rate", "ThrottlingBurstLimit": "burst"}
"""Limits of a route by their names."""

APPLY = "apply Terraform"


def api_of(answers: Answers) -> Mapping[str, Any]:
    """Return the API, as API Gateway has it."""
    found: Mapping[str, Any] = answers.ask("apigatewayv2", "get_api", ApiId=answers.outputs["api_id"])
    return found


def _list(answers: Answers, operation: str) -> Sequence[Mapping[str, Any]]:
    return answers.pages("apigatewayv2", operation, "Items", ApiId=answers.outputs["api_id"])


def routes_of(answers: Answers) -> Mapping[str, Mapping[str, Any]]:
    """Return the routes of the API by key."""
    return {each["RouteKey"]: each for each in _list(answers, "get_routes")}


def own_routes(answers: Answers) -> Mapping[str, str]:
    """Return the handlers of Roomcast's own routes by key."""
    return {f"${name}" if name in OF_HANDSHAKES else name: name for name in answers.functions if name not in WORKERS}


def deployment(answers: Answers) -> Iterator[Finding]:
    """The stage serves the API as it is now."""
    stage = stage_of(answers)
    served = stage.get("DeploymentId")
    if not served:
        yield Finding(
            answers.stage.label,
            f"the stage {answers.stage.label} has no deployment: every handshake is answered with 403",
            f"{APPLY}",
        )
        return
    created = {each["DeploymentId"]: each["CreatedDate"] for each in _list(answers, "get_deployments")}
    if served not in created:
        yield Finding(
            answers.stage.label,
            f"the stage {answers.stage.label} serves the deployment {served}, which does not exist",
            f"{APPLY} with another redeployment_triggers",
        )
    elif created[served] < max(created.values()):
        newest = max(created, key=lambda each: created[each])
        yield Finding(
            answers.stage.label,
            f"the stage {answers.stage.label} serves the deployment {served} of {created[served]:%Y-%m-%d %H:%M}, and "
            f"{newest} is newer: later changes of routes and functions are not served",
            f"{APPLY} with another redeployment_triggers",
        )
    message = stage.get("LastDeploymentStatusMessage", "")
    if "fail" in message.lower():
        yield Finding(answers.stage.label, f"the last automatic deployment failed: {message}", APPLY)


def routes(answers: Answers) -> Iterator[Finding]:
    """The API has the routes that were declared, no others, and lets in whom it should."""
    selection = api_of(answers).get("RouteSelectionExpression")
    if selection != SELECTION:
        yield Finding(
            answers.outputs["api_id"],
            f"the API {answers.outputs['api_id']} selects routes by {selection} and not by {SELECTION}: messages reach "
            "other routes than their action names",
            APPLY,
        )
    found, own = routes_of(answers), own_routes(answers)
    for key in sorted(own.keys() - found.keys()):
        yield Finding(key, f"the route {key} is missing: what clients ask of it goes to $default, or nowhere", APPLY)
    settings = answers.settings
    if (
        settings["authorization_type"] != "NONE"
        and found.get("$connect", {}).get("AuthorizationType", "NONE") == "NONE"
    ):
        yield Finding(
            "$connect",
            f"the route $connect lets any client in, and the stage was applied with {settings['authorization_type']}: "
            "clients without a token connect",
            APPLY,
        )
    declared = settings.get("additional_routes")
    if declared is None:
        raise NotMade("the stage's parameter does not tell the additional routes: it is older, or they are too many")
    for key in sorted(found.keys() - own.keys() - {*declared}):
        yield Finding(
            key,
            f"the route {key} was not declared: whatever it invokes serves every client",
            "delete it, or declare it in additional_routes",
        )


def integrations(answers: Answers) -> Iterator[Finding]:
    """Each route invokes the function that it should."""
    found = {each["IntegrationId"]: each for each in _list(answers, "get_integrations")}
    own, region = own_routes(answers), str(answers.outputs["stage_execution_arn"]).split(":")[3]
    for key, route in sorted(routes_of(answers).items()):
        target = str(route.get("Target") or "").removeprefix("integrations/")
        integration = found.get(target)
        if integration is None:
            yield Finding(key, f"the route {key} has no integration: its messages are not answered", APPLY)
            continue
        function = function_of(integration)
        if integration.get("IntegrationType") != "AWS_PROXY" or not function:
            kind = integration.get("IntegrationType")
            yield Finding(key, f"the route {key} has an integration of type {kind} and invokes no function", APPLY)
        elif function.split(":")[3] != region:
            yield Finding(key, f"the route {key} invokes {function}, which is in another Region than the API", APPLY)
        elif key in own:
            if function != answers.outputs["alias_arns"][own[key]]:
                yield Finding(
                    key,
                    f"the route {key} invokes {function} and not {answers.outputs['alias_arns'][own[key]]}",
                    APPLY,
                )
            try:
                answers.function(own[key])
            except NotThere:
                yield Finding(key, f"the route {key} invokes {function}, which does not exist", APPLY)


def function_of(integration: Mapping[str, Any]) -> str:
    """Return the ARN of the function that an integration invokes; an empty text for none."""
    found = FUNCTION.search(str(integration.get("IntegrationUri") or ""))
    return found[1] if found else ""


def permission(answers: Answers) -> Iterator[Finding]:
    """API Gateway may invoke the function of each route, and no principal that should not."""
    found = {each["IntegrationId"]: each for each in _list(answers, "get_integrations")}
    arns = {
        key: function_of(found.get(str(route.get("Target")).removeprefix("integrations/"), {}))
        for key, route in routes_of(answers).items()
    }
    for key, arn in sorted(arns.items()):
        source = f"{answers.outputs['stage_execution_arn']}/{key}"
        if arn and not any(_permits(each, arn, source) for each in _statements(answers, arn)):
            yield Finding(
                key,
                f"API Gateway may not invoke {arn} for the route {key}: handshakes and messages of it fail with 500",
                APPLY,
            )
    own = [*answers.outputs["function_arns"].values(), *answers.outputs["alias_arns"].values()]
    for arn in sorted({*own, *filter(None, arns.values())}):
        for statement in _statements(answers, arn):
            if _is_for_everybody(statement):
                yield Finding(
                    arn,
                    f"the policy of {arn} lets any principal invoke it (statement {statement.get('Sid')}): other "
                    "accounts send it events that API Gateway never made",
                    f"aws lambda remove-permission --function-name {arn} --statement-id {statement.get('Sid')}",
                )


def _statements(answers: Answers, arn: str) -> Sequence[Mapping[str, Any]]:
    *function, qualifier = arn.split(":") if arn.count(":") == 7 else [*arn.split(":"), ""]
    params = {"FunctionName": ":".join(function), **({"Qualifier": qualifier} if qualifier else {})}
    try:
        policy = json.loads(answers.ask("lambda", "get_policy", **params)["Policy"])
    except NotThere:
        return []
    found: Sequence[Mapping[str, Any]] = policy.get("Statement", [])
    return found


def _conditions(statement: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Return the keys of a statement's conditions with their patterns."""
    return [
        (name.lower(), pattern)
        for operator in statement.get("Condition", {}).values()
        for name, patterns in operator.items()
        for pattern in ([patterns] if isinstance(patterns, str) else patterns)
    ]


def _permits(statement: Mapping[str, Any], arn: str, source: str) -> bool:
    """Whether a statement lets API Gateway invoke a function for a route."""
    conditions = _conditions(statement)
    values = {"aws:sourcearn": source, "aws:sourceaccount": source.split(":")[4]}
    return (
        statement.get("Effect") == "Allow"
        and _service(statement) in {"apigateway.amazonaws.com", "*"}
        and statement.get("Action") in {"lambda:InvokeFunction", "lambda:*", "*"}
        and statement.get("Resource") == arn
        # In a pattern of IAM only * and ? mean anything.
        and all(fnmatchcase(values.get(name, ""), pattern.replace("[", "[[]")) for name, pattern in conditions)
    )


def _service(statement: Mapping[str, Any]) -> str:
    principal = statement.get("Principal", "")
    return str(principal.get("Service") or principal.get("AWS")) if isinstance(principal, dict) else str(principal)


def _is_for_everybody(statement: Mapping[str, Any]) -> bool:
    """Whether any principal may invoke, or any API of any account."""
    is_open = _service(statement) in {"*", "apigateway.amazonaws.com"}
    # A source of any account is no condition.
    limits = [pattern for name, pattern in _conditions(statement) if not (name in SOURCES and _is_of_any(pattern))]
    return statement.get("Effect") == "Allow" and is_open and not limits


def _is_of_any(pattern: str) -> bool:
    """Whether a pattern of an ARN, or of an account's id, holds for any account."""
    parts = pattern.split(":", 5)
    return (parts[4] if len(parts) > 4 else parts[-1]) == "*"


def throttle_zero(answers: Answers) -> Iterator[Finding]:
    """No route is throttled to nothing."""
    for key, settings in settings_of(stage_of(answers)):
        who = f"route {key}" if key else "the stage"
        for name, label in LIMITS.items():
            # What is missing beside the other one counts as 0. A route without either has the stage's.
            limit = settings.get(name, 0 if key and LIMITS.keys() & settings.keys() else 1)
            if limit <= 0:
                yield Finding(
                    who,
                    f"{who} has {label} limit {limit:g}: API Gateway refuses every request of it",
                    f"{APPLY}, which repairs what was changed by hand; else set throttling_{label}_limit",
                )


def stage_logs(answers: Answers) -> Iterator[Finding]:
    """The stage writes its access log, and nothing that belongs in no log."""
    stage = stage_of(answers)
    label, level = answers.stage.label, stage.get("DefaultRouteSettings", {}).get("LoggingLevel", "OFF")
    for key, settings in settings_of(stage):
        who = f"route {key}" if key else f"the stage {label}"
        if settings.get("DataTraceEnabled"):
            yield Finding(who, f"{who} traces data: clients' messages and tokens are written into a log", APPLY)
        if settings.get("LoggingLevel", "OFF") != level:
            found = settings.get("LoggingLevel", "OFF")
            yield Finding(
                who, f"{who} has the logging level {found}, and the stage has {level}: set by hand", APPLY, WARNING
            )
    access, wanted = stage.get("AccessLogSettings", {}), answers.outputs.get("access_log_group_name")
    arn = str(access.get("DestinationArn", ""))
    if wanted and not arn.removesuffix(":*").endswith(f":{wanted}"):
        yield Finding(label, f"the stage {label} does not write its access log into {wanted}", APPLY)
    if found := PRIVATE.search(str(access.get("Format", ""))):
        yield Finding(
            label,
            f"the access log of {label} has {found[0]}: tokens, or what an authorizer knows about clients, are written "
            "into a log",
            APPLY,
        )


CHECKS = group_of("api", deployment, routes, integrations, permission, throttle_zero, stage_logs)
