"""Faults that alarms are about, and clients whose work suffers from them."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from integration_tests.harness.faults.through_proxy import MANAGEMENT_ENDPOINT
from integration_tests.harness.handshakes import options
from integration_tests.harness.reconfigured import reconfigured
from integration_tests.harness.table import ROOM_PREFIX
from scripts.stage_url import in_room
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from types_boto3_apigatewayv2.type_defs import RouteSettingsTypeDef

    from integration_tests.harness.faults.control import FaultControl
    from integration_tests.harness.faults.rules import Rule
    from scripts.local.aws import Aws
    from scripts.local.deployment import Deployment

MESSAGES = ({"action": "sendmessage", "data": "hello"}, {"action": "whoami"}, {"action": "unknown"})
ANSWER_SECONDS = 5.0
"""Time for the answers to a visit's messages; longer than the injected delay, and short beside the alarms' periods."""


@dataclass(frozen=True)
class Stage:
    """A stage with alarms.

    Attributes:
        aws: Access to its account.
        deployment: The stage.
    """

    aws: Aws
    deployment: Deployment

    def function(self, handler: str) -> str:
        """Return the ARN of a function."""
        arn: str = self.deployment.outputs["function_arns"][handler]
        return arn

    @contextmanager
    def denied(self, handler: str, action: str) -> Iterator[None]:
        """Deny an action to a function."""
        iam = self.aws.session.client("iam", endpoint_url=self.aws.endpoint_url)
        role = self.aws.functions.get_function_configuration(FunctionName=self.function(handler))["Role"]
        name = role.rpartition("/")[2]
        denial = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
        iam.put_role_policy(RoleName=name, PolicyName="fault", PolicyDocument=json.dumps(denial))
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=name, PolicyName="fault")

    @contextmanager
    def without_concurrency(self, handler: str) -> Iterator[None]:
        """Reserve no invocation at all for a function."""
        functions, name = self.aws.functions, self.function(handler)
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        try:
            yield
        finally:
            functions.delete_function_concurrency(FunctionName=name)

    def crashing(self, handler: str) -> AbstractContextManager[None]:
        """Give a function a setting with which it cannot be loaded."""
        return reconfigured(self.aws.functions, [self.function(handler)], lambda _: {"ROOMCAST_PACE": "no number"})

    @contextmanager
    def refusing_handshakes(self) -> Iterator[None]:
        """Let no handshake pass the route's limits."""
        api_id, stage = self.deployment.outputs["api_id"], self.deployment.outputs["stage_name"]
        gateway = self.aws.apigatewayv2
        before = gateway.get_stage(ApiId=api_id, StageName=stage).get("RouteSettings", {})
        nothing: RouteSettingsTypeDef = {"ThrottlingBurstLimit": 0, "ThrottlingRateLimit": 0.0}
        gateway.update_stage(ApiId=api_id, StageName=stage, RouteSettings={"$connect": nothing})
        try:
            yield
        finally:
            gateway.delete_route_settings(ApiId=api_id, StageName=stage, RouteKey="$connect")
            gateway.update_stage(ApiId=api_id, StageName=stage, RouteSettings=before)

    @contextmanager
    def posting_elsewhere(self, handler: str) -> Iterator[None]:
        """Give a function a wrong ``management_endpoint``, of a stage that there is not, as an apply would."""
        parameters = self.aws.session.client("ssm", endpoint_url=self.aws.endpoint_url)
        name = self.deployment.outputs["stage_parameter_name"]
        before = parameters.get_parameter(Name=name)["Parameter"]["Value"]
        wrong = {**json.loads(before), "management_endpoint": _elsewhere(json.loads(before)["management_endpoint"])}

        def elsewhere(environment: Mapping[str, str]) -> dict[str, str]:
            return {MANAGEMENT_ENDPOINT: _elsewhere(environment[MANAGEMENT_ENDPOINT])}

        parameters.put_parameter(Name=name, Value=json.dumps(wrong), Overwrite=True)
        try:
            with reconfigured(self.aws.functions, [self.function(handler)], elsewhere):
                yield
        finally:
            parameters.put_parameter(Name=name, Value=before, Overwrite=True)

    @contextmanager
    def waiting_and_given_up(self) -> Iterator[None]:
        """Have a task wait for a worker that cannot run, and another one among the dead letters."""
        urls = [self.deployment.outputs[f"publish_{each}queue_url"] for each in ("", "dead_letter_")]
        with ExitStack() as undo:
            undo.enter_context(self.without_concurrency("publish"))
            for url in urls:
                self.aws.sqs.send_message(QueueUrl=url, MessageBody="{}")
                undo.callback(self.aws.sqs.purge_queue, QueueUrl=url)
            yield


def _elsewhere(endpoint: str) -> str:
    return f"{endpoint.rpartition('/')[0]}/elsewhere"


@contextmanager
def injected(control: FaultControl, *rules: Rule) -> Iterator[None]:
    """Put rules of the fault proxy in force."""
    control.replace(rules)
    try:
        yield
    finally:
        control.replace()


async def visit(url: str, room: str, headers: Mapping[str, str]) -> None:
    """Connect, send one message of each kind, wait for their answers, and leave; errors are ignored."""
    with suppress(OSError, TimeoutError, WebSocketException):
        async with (
            asyncio.timeout(scaled(ANSWER_SECONDS)),
            connect(in_room(url, room), additional_headers=headers, **options(url, ANSWER_SECONDS)) as socket,
        ):
            for message in MESSAGES:
                await socket.send(json.dumps(message))
            for _ in MESSAGES:
                await socket.recv()


@asynccontextmanager
async def visitors(url: str, number: int, headers: Callable[[], Mapping[str, str]] = dict) -> AsyncIterator[None]:
    """Have clients come and go, so many at a time, each in a room of its own.

    Args:
        url: The stage's WebSocket URL.
        number: Clients at a time.
        headers: Returns the headers of a handshake.
    """

    async def come_and_go(room: str) -> None:
        while True:
            await visit(url, room, headers())

    tasks = [asyncio.create_task(come_and_go(f"{ROOM_PREFIX}alarms-{index}")) for index in range(number)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
