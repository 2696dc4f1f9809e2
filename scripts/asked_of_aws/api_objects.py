"""The objects of the module ``websocket-api``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scripts.asked_of_aws.invocation import invoke_arn
from scripts.asked_of_aws.settings import TIME, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.asked_of_aws.functions import Function
    from scripts.asked_of_aws.settings import Run, Table

    Functions = Mapping[str, Function]

AUTHORIZER_LOGGED = {
    "authorizer_request_id": "$context.authorizer.requestId",
    "authorizer_status": "$context.authorizer.status",
    "principal": "$context.authorizer.principalId",
}


def of_api(run: Run, functions: Functions) -> Table:
    """Return all objects of ``modules/websocket-api``."""
    routes = {
        function.route: Route(f"mocked-{handler}:live", *(function.limits or run.limits))
        for handler, function in functions.items()
        if function.route is not None
    }
    routes |= run.routes
    module = "module.backend.module.websocket_api"
    watched = {
        "data_trace_enabled": False,
        "detailed_metrics_enabled": run.metrics,
        "logging_level": run.execution_level,
    }
    objects: Table = {
        f"{module}.aws_apigatewayv2_api.this": {
            "name": run.name,
            "description": f"Roomcast backend {run.name}.",
            "ip_address_type": run.addresses,
            "disable_execute_api_endpoint": not run.own_endpoint,
            "protocol_type": "WEBSOCKET",
            "route_selection_expression": "$request.body.action",
            "tags": run.tags,
        },
        f"{module}.aws_apigatewayv2_stage.this": {
            "access_log_settings": [
                {
                    "destination_arn": "arn:aws-cn:logs:cn-north-1:111122223333:log-group:access",
                    "format": {
                        "request_id": "$context.requestId",
                        "lambda_request_id": "$context.integration.requestId",
                        "connection_id": "$context.connectionId",
                        "timestamp": "$context.requestTimeEpoch",
                        "event": "$context.eventType",
                        "route": "$context.routeKey",
                        "source_ip": "$context.identity.sourceIp",
                        "status": "$context.status",
                        "error": "$context.error.responseType",
                        "integration_status": "$context.integration.integrationStatus",
                        "function_status": "$context.integration.status",
                        "integration_ms": "$context.integration.latency",
                        **(AUTHORIZER_LOGGED if run.authorizer else {}),
                    },
                }
            ]
            if run.access_log
            else [],
            "api_id": "a1b2c3d4e5",
            "name": run.stage,
            "auto_deploy": True,
            "tags": run.tags,
            "default_route_settings": [
                {**watched, "throttling_burst_limit": run.limits[0], "throttling_rate_limit": run.limits[1]}
            ],
            "route_settings": [
                {
                    **watched,
                    "route_key": key,
                    "throttling_burst_limit": route.burst,
                    "throttling_rate_limit": route.rate,
                }
                for key, route in routes.items()
            ],
        },
        f"{module}.aws_apigatewayv2_integration.redeployment": {
            "api_id": "a1b2c3d4e5",
            "description": re.compile(r"Serves no route\. Its updates deploy the API: [0-9a-f]{64}"),
            "integration_method": "POST",
            "integration_type": "AWS_PROXY",
            "integration_uri": invoke_arn("mocked-connect:live"),
        },
    }
    for key, route in routes.items():
        suffix = key.replace("$", "").replace("/", "-")
        objects[f'{module}.aws_apigatewayv2_integration.this["{key}"]'] = {
            "api_id": "a1b2c3d4e5",
            "integration_method": "POST",
            "integration_type": "AWS_PROXY",
            "integration_uri": invoke_arn(route.function),
            "timeout_milliseconds": route.timeout,
        }
        objects[f'{module}.aws_apigatewayv2_route.this["{key}"]'] = {
            "api_id": "a1b2c3d4e5",
            "route_key": key,
            "target": f"integrations/integration-{suffix}",
            "authorization_type": run.authorization if key == "$connect" else "NONE",
            "authorizer_id": "authorizer-id" if run.authorizer and key == "$connect" else None,
        }
        objects[f'{module}.terraform_data.authorizer["{key}"]'] = {
            "triggers_replace": "authorizer-id" if run.authorizer and key == "$connect" else None
        }
    # Whether the last apply had an access log, so that the next one notices a change.
    objects[f"{module}.terraform_data.access_log"] = {"input": TIME, "triggers_replace": [run.access_log]}
    objects[f"{module}.terraform_data.access_log_remembered"] = {"input": TIME}
    if run.access_log:
        objects[f"{module}.aws_cloudwatch_log_group.access[0]"] = {
            "name": run.access_log_name,
            "kms_key_id": run.log_key,
            "retention_in_days": run.retention,
            "tags": run.tags,
        }
    return objects
