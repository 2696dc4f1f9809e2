"""Small WebSocket APIs for probes of an emulator, with one function behind every route."""

from __future__ import annotations

import io
import json
import math
import secrets
import zipfile
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import websockets
from botocore.config import Config

from scripts.local.aws import ACCESS_KEY, REGION
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

STAGE = "test"
ALL_ROUTES = ("$connect", "$default", "$disconnect")
ANSWER_OK = """
def handler(event, context):
    return {"statusCode": 200}
"""
RECORD = """
import json, os, pathlib, uuid

def record(value):
    file = pathlib.Path(os.environ["RECORDS"], uuid.uuid4().hex)
    file.write_text(json.dumps(value))
    file.rename(file.with_suffix(".json"))
"""
"""Source to put before a handler: ``record(value)`` passes a value to the test."""
RECORD_EVENTS = f"""{RECORD}
def handler(event, context):
    record(event)
    return {{"statusCode": 200}}
"""


@dataclass
class Api:
    """A deployed WebSocket API.

    Attributes:
        endpoint: URL of the emulator.
        function: Name of the function behind all routes.
        records: Directory for the function's records.
        api_id: Id of the API.
        route_ids: Route ids by route key.
    """

    endpoint: str
    function: str
    records: Path
    api_id: str
    route_ids: Mapping[str, str] = field(default_factory=dict)

    def connect(self, query: str = "", stage: str = STAGE, **options: Any) -> websockets.connect:
        """Open a connection."""
        url = f"{self.endpoint.replace('http', 'ws', 1)}/_aws/execute-api/{self.api_id}/{stage}{query}"
        return websockets.connect(url, open_timeout=scaled(20), **options)

    def management(self, stage: str = f"/{STAGE}") -> Any:
        """Return a client of the ``@connections`` API."""
        return client("apigatewaymanagementapi", f"{self.endpoint}/_aws/execute-api/{self.api_id}{stage}")

    def recorded(self) -> list[Any]:
        """Return the function's records so far, in no order."""
        return [json.loads(path.read_text()) for path in self.records.glob("*.json")]

    def events(self, event_type: str | None = None) -> list[dict[str, Any]]:
        """Return the recorded events, all or of one type."""
        return [event for event in self.recorded() if event_type in {None, event["requestContext"]["eventType"]}]

    async def number_recorded(self) -> int:
        """Return the number of records so far."""
        return len(self.recorded())


@cache
def client(service: str, endpoint: str) -> Any:
    """Return a boto3 client without retries, so that a test sees every answer."""
    return boto3.client(
        service,  # type: ignore[call-overload] # any service
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=ACCESS_KEY,
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )


def deploy(
    endpoint: str,
    directory: Path,
    handler: str = ANSWER_OK,
    *,
    routes: Iterable[str] = ALL_ROUTES,
    two_way: bool = False,
    timeout: float = 15,
    permission: str | None = "{api}/*",
    integration: Mapping[str, Any] | None = None,
    stage: Mapping[str, Any] | None = None,
    allowed: str | None = "logs:CreateLogGroup",
) -> Api:
    """Create a function and a WebSocket API with routes that invoke it.

    Args:
        endpoint: URL of the emulator.
        directory: Parent of the directory for the function's records.
        handler: Source text that defines ``handler(event, context)``.
        routes: Route keys.
        two_way: Whether routes other than ``$connect`` and ``$disconnect`` have a route response.
        timeout: The function's, in seconds; scaled by ``TIMEOUT_FACTOR``.
        permission: Source ARN of the invoke permission, in which ``{api}`` is replaced; None for no permission.
        integration: Further parameters of CreateIntegration.
        stage: Further parameters of CreateStage.
        allowed: The only action that the function's role permits; None for none.
    """
    functions, gateway = client("lambda", endpoint), client("apigatewayv2", endpoint)
    name = f"probe-{secrets.token_hex(4)}"
    records = directory / name
    records.mkdir()
    function_arn = functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=create_role(endpoint, name, allowed),
        Handler="probe.handler",
        Timeout=math.ceil(scaled(timeout)),
        Code={"ZipFile": zipped(handler)},
        Environment={"Variables": {"RECORDS": str(records)}},
    )["FunctionArn"]
    api_id = gateway.create_api(Name=name, ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")[
        "ApiId"
    ]
    account = function_arn.split(":")[4]
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function_arn}/invocations"
    integration_id = gateway.create_integration(
        ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationMethod="POST", IntegrationUri=uri, **(integration or {})
    )["IntegrationId"]
    route_ids = {
        key: create_route(
            gateway, api_id, integration_id, key, two_way=two_way and key not in {"$connect", "$disconnect"}
        )
        for key in routes
    }
    deployment_id = gateway.create_deployment(ApiId=api_id)["DeploymentId"]
    gateway.create_stage(ApiId=api_id, StageName=STAGE, DeploymentId=deployment_id, **(stage or {}))
    if permission is not None:
        functions.add_permission(
            FunctionName=name,
            StatementId="gateway",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=permission.format(api=f"arn:aws:execute-api:{REGION}:{account}:{api_id}"),
        )
    return Api(endpoint, name, records, api_id, route_ids)


def redeploy(api: Api) -> str:
    """Deploy the present API to its stage; return the new deployment's id."""
    gateway = client("apigatewayv2", api.endpoint)
    deployment_id: str = gateway.create_deployment(ApiId=api.api_id)["DeploymentId"]
    gateway.update_stage(ApiId=api.api_id, StageName=STAGE, DeploymentId=deployment_id)
    return deployment_id


def create_role(endpoint: str, name: str, allowed: str | None = None) -> str:
    """Create a role for Lambda that permits one action or none; return its ARN."""
    iam = client("iam", endpoint)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    if allowed is not None:
        document = policy({"Effect": "Allow", "Action": allowed, "Resource": "*"})
        iam.put_role_policy(RoleName=name, PolicyName="probe", PolicyDocument=document)
    return arn


def policy(statement: Mapping[str, Any]) -> str:
    """Return a policy of one statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def create_route(gateway: Any, api_id: str, integration_id: str, key: str, *, two_way: bool) -> str:
    """Create one route, with a route response if ``two_way``; return its id."""
    response = {"RouteResponseSelectionExpression": "$default"} if two_way else {}
    target = f"integrations/{integration_id}"
    route_id: str = gateway.create_route(ApiId=api_id, RouteKey=key, Target=target, **response)["RouteId"]
    if two_way:
        gateway.create_route_response(ApiId=api_id, RouteId=route_id, RouteResponseKey="$default")
    return route_id


def zipped(handler: str) -> bytes:
    """Return a deployment package with one module, ``probe``."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("probe.py", handler)
    return content.getvalue()
