"""What the server that forks commands loads before them: modules, and botocore's descriptions of services."""

from __future__ import annotations

import rich.table  # noqa: F401 - loaded for commands
from roomcast_cli import application, aws  # noqa: F401 - loaded for commands

SERVICES = ("apigatewaymanagementapi", "cloudwatch", "dynamodb", "lambda", "logs", "sqs", "ssm", "sts")

loader = aws.session_of(None).get_component("data_loader")
for service in SERVICES:
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model(service, kind)
for service in ("dynamodb", "logs", "ssm"):
    loader.load_service_model(service, "paginators-1")
for name in ("endpoints", "partitions", "_retry", "sdk-default-configuration"):
    loader.load_data(name)
