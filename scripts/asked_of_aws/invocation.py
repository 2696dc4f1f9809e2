"""API Gateway's access to functions: permissions, ARNs, and the objects of the module ``authorizer``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.asked_of_aws.settings import EXECUTION, FUNCTION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.asked_of_aws.functions import Function
    from scripts.asked_of_aws.settings import Authorizer, Run, Settings, Table

    Functions = Mapping[str, Function]

READERS = {"authorizer", "default", "disconnect", "fanout_worker", "ping", "presence", "sweeper", "who", "whoami"}
"""Functions whose aliases move before those of the others."""


def permission(function_name: str, source_arn: str, prefix: str) -> Settings:
    """Return the permission of API Gateway to invoke a function for one route."""
    return {
        "action": "lambda:InvokeFunction",
        "function_name": function_name,
        "principal": "apigateway.amazonaws.com",
        "source_arn": source_arn,
        "statement_id_prefix": prefix,
    }


def invoke_arn(function: str) -> str:
    """Return the ARN by which API Gateway invokes a function of this mocked name."""
    return f"arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/{FUNCTION}:{function}/invocations"


def of_aliases(functions: Functions, run: Run) -> Table:
    """Return the alias of each function, and who may invoke it."""
    table: Table = {}
    for name, function in functions.items():
        kind, arn = "readers" if name in READERS else "writers", f"{FUNCTION}:mocked-{name}"
        table[f'module.backend.aws_lambda_alias.{kind}["{name}"]'] = {
            "name": "live",
            "description": "What API Gateway and the queues invoke.",
            "function_name": arn,
            "function_version": "$LATEST",  # a mocked provider has published nothing
        }
        if function.provisioned is not None:
            table[f'module.backend.aws_lambda_provisioned_concurrency_config.this["{name}"]'] = {
                "function_name": arn,
                "provisioned_concurrent_executions": function.provisioned,
                "qualifier": "live",
            }
        if function.route is not None:
            source = f"{EXECUTION}/{run.stage}/{function.route}"
            table[f'module.backend.aws_lambda_permission.alias["{name}"]'] = {
                **permission(arn, source, f"{name}-"),
                "qualifier": "live",
            }
        for principal in function.principals:
            # By the text that the caller gave.
            given = principal.split(":")[4] if principal.endswith(":root") else principal
            table[f'module.backend.aws_lambda_permission.alias_principal["{name} {given}"]'] = {
                **permission_of_principal(arn, principal),
                "qualifier": "live",
            }
    return table


def permission_of_principal(function_name: str, principal: str) -> Settings:
    """Return the permission of an account, a role or a service to invoke a function."""
    return {
        "action": "lambda:InvokeFunction",
        "function_name": function_name,
        "principal": principal,
        "statement_id_prefix": "principal-",
        **({} if principal.startswith("arn:") else {"source_account": "111122223333"}),
    }


def of_additional_routes(run: Run) -> Table:
    """Return the permissions for routes with functions of the caller's own."""
    table: Table = {}
    for key, route in run.routes.items():
        name, _, qualifier = route.function.partition(":")
        prefix = f"{run.name}-{key.replace('/', '-')}-"
        table[f'module.backend.aws_lambda_permission.additional_route["{key}"]'] = {
            **permission(name, f"{EXECUTION}/{run.stage}/{key}", prefix),
            **({"qualifier": qualifier} if qualifier else {}),
        }
    return table


def of_authorizer(run: Run, authorizer: Authorizer) -> Table:
    """Return all objects of ``modules/authorizer``."""
    module = "module.backend.module.authorizer[0]"
    invoked = f"{authorizer.function_arn}:live" if run.tokens else authorizer.function_arn
    uri = f"arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/{invoked}/invocations"
    objects: Table = {
        f"{module}.aws_apigatewayv2_authorizer.this": {
            "api_id": "a1b2c3d4e5",
            "authorizer_type": "REQUEST",
            "authorizer_uri": uri,
            "identity_sources": [*authorizer.sources],
            "name": run.name,
        }
    }
    if authorizer.name is not None:
        objects[f"{module}.aws_lambda_permission.this[0]"] = {
            **permission(authorizer.name, f"{EXECUTION}/authorizers/authorizer-id", f"{run.name}-authorizer-"),
            **({"qualifier": authorizer.qualifier} if authorizer.qualifier else {}),
        }
    if run.tokens:
        objects[f"{module}.aws_lambda_permission.alias[0]"] = {
            **permission(authorizer.function_arn, f"{EXECUTION}/authorizers/*", f"{run.name}-authorizer-"),
            "qualifier": "live",
        }
    return objects
