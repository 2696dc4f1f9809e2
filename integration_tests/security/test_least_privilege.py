"""Each right of each function is needed: without it, the feature that needs it fails, and nothing else is granted."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest

from integration_tests.conftest import table_of
from integration_tests.harness.crowd import Crowd
from integration_tests.harness.fanout_queue import FanoutQueue
from integration_tests.harness.reconfigured import reconfigured
from integration_tests.security import absent_members, features
from integration_tests.security.lab import Lab
from integration_tests.security.minting import AUDIENCE, ISSUER
from integration_tests.security.roles import Roles, needs
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

    Feature = Callable[[Lab], Awaitable[bool]]

pytestmark = pytest.mark.emulator_only

NEEDED: dict[tuple[str, str], Feature] = {
    ("connect", "dynamodb:GetItem"): features.join,
    ("connect", "dynamodb:Query"): features.join,
    ("authorizer", "secretsmanager:GetSecretValue"): features.check_a_token,
    ("connect", "dynamodb:PutItem"): features.join,
    ("connect", "dynamodb:UpdateItem"): features.join,
    ("connect", "dynamodb:DeleteItem"): features.undo_a_join,
    ("connect", "kms:Decrypt"): features.join,
    ("connect", "execute-api:ManageConnections"): features.answer_of_connect,
    ("default", "execute-api:ManageConnections"): features.answer_of_default,
    ("default", "dynamodb:GetItem"): features.answer_of_default_in_v1,
    ("default", "kms:Decrypt"): features.answer_of_default_in_v1,
    ("disconnect", "dynamodb:GetItem"): absent_members.leave,
    ("disconnect", "dynamodb:UpdateItem"): absent_members.subtract,
    ("disconnect", "dynamodb:DeleteItem"): absent_members.leave,
    ("disconnect", "kms:Decrypt"): absent_members.leave,
    ("disconnect", "execute-api:ManageConnections"): features.answer_of_disconnect,
    ("sendmessage", "dynamodb:GetItem"): features.send_to_one,
    ("sendmessage", "dynamodb:UpdateItem"): features.send_to_room,
    ("sendmessage", "dynamodb:Query"): features.send_to_room,
    ("sendmessage", "dynamodb:DeleteItem"): absent_members.send_to_a_dead_one,
    ("sendmessage", "kms:Decrypt"): features.send_to_room,
    ("sendmessage", "sqs:SendMessage"): features.send_to_room,
    ("sendmessage", "execute-api:ManageConnections"): features.send_to_one,
    ("join", "dynamodb:GetItem"): features.join_a_room,
    ("join", "dynamodb:Query"): features.join_a_room,
    ("join", "dynamodb:PutItem"): features.join_a_room,
    ("join", "dynamodb:UpdateItem"): features.join_a_room,
    ("join", "kms:Decrypt"): features.join_a_room,
    ("join", "execute-api:ManageConnections"): features.join_a_room,
    ("leave", "dynamodb:GetItem"): features.leave_a_room,
    ("leave", "dynamodb:UpdateItem"): features.leave_a_room,
    ("leave", "dynamodb:DeleteItem"): features.leave_a_room,
    ("leave", "kms:Decrypt"): features.leave_a_room,
    ("leave", "execute-api:ManageConnections"): features.leave_a_room,
    ("ping", "dynamodb:GetItem"): features.ping,
    ("ping", "kms:Decrypt"): features.ping,
    ("ping", "execute-api:ManageConnections"): features.ping,
    ("who", "dynamodb:GetItem"): features.who,
    ("who", "dynamodb:Query"): features.who,
    ("who", "dynamodb:UpdateItem"): features.who,
    ("who", "kms:Decrypt"): features.who,
    ("who", "execute-api:ManageConnections"): features.who,
    ("whoami", "dynamodb:GetItem"): features.whoami,
    ("whoami", "kms:Decrypt"): features.whoami,
    ("whoami", "execute-api:ManageConnections"): features.whoami,
    ("fanout_worker", "dynamodb:Query"): absent_members.prune,
    ("fanout_worker", "dynamodb:UpdateItem"): absent_members.subtract_the_dead,
    ("fanout_worker", "dynamodb:DeleteItem"): absent_members.prune,
    ("fanout_worker", "dynamodb:PutItem"): absent_members.put_a_straggler_aside,
    ("fanout_worker", "kms:Decrypt"): absent_members.prune,
    ("fanout_worker", "sqs:SendMessage"): absent_members.put_a_straggler_aside,
    ("fanout_worker", "sqs:ChangeMessageVisibility"): absent_members.postpone,
    ("fanout_worker", "execute-api:ManageConnections"): absent_members.prune,
}
"""The feature that needs a right, by function and action."""

LIMITS = {"ROOMCAST_MAXIMUM_ROOM_MEMBERS": "100", "ROOMCAST_MESSAGES_PER_SECOND": "100"}
"""Variables of the functions, so that they count."""

WITHOUT_QUEUE = {("sendmessage", "dynamodb:Query")}
"""Rights that are needed where there is no queue. With one they stay, because Terraform changes the policy before the
function when queued delivery is turned on, and after it when it is turned off."""

WITH_SECRET = {("authorizer", "secretsmanager:GetSecretValue")}
"""Rights that exist only where tokens are signed with a shared secret."""

WITH_OPTIONS = ("ec2:", "xray:")
"""Services for which rights exist only where functions are in a VPC, or write traces."""

NOT_SHOWN_OF = {
    ("authorizer", "kms:Decrypt"): "The emulator does not ask for it where a secret has a key of its own.",
}
"""Rights of one function, each with the reason why no removal shows here."""

OF_INTERFACES = "Lambda connects the function to a VPC, and its code may not; the emulator has no network interfaces."
NOT_SHOWN = {
    "ec2:AssignPrivateIpAddresses": OF_INTERFACES,
    "ec2:CreateNetworkInterface": OF_INTERFACES,
    "ec2:DeleteNetworkInterface": OF_INTERFACES,
    "ec2:DescribeNetworkInterfaces": OF_INTERFACES,
    "ec2:DescribeSubnets": OF_INTERFACES,
    "ec2:UnassignPrivateIpAddresses": OF_INTERFACES,
    "kms:DescribeKey": "AWS lists it among the rights for a table with its own key; the emulator does not ask for it.",
    "kms:GenerateDataKey": "SQS asks a sender for it where a queue has its own key; the emulator does not ask.",
    "logs:CreateLogStream": "Lambda writes the logs; the emulator does so without the role.",
    "logs:PutLogEvents": "Lambda writes the logs; the emulator does so without the role.",
    "sqs:DeleteMessage": "Lambda deletes messages for the event source mapping; the emulator does so without the role.",
    "sqs:GetQueueAttributes": "Lambda polls for the event source mapping; the emulator does so without the role.",
    "sqs:ReceiveMessage": "Lambda polls for the event source mapping; the emulator does so without the role.",
    "xray:PutTelemetryRecords": "Lambda writes the traces, if `tracing_mode` is Active; the emulator writes none.",
    "xray:PutTraceSegments": "Lambda writes the traces, if `tracing_mode` is Active; the emulator writes none.",
}
"""Rights that services of AWS use in a function's name, each with the reason why no removal shows here."""

ROUTES: dict[str, Feature] = {
    "connect": features.join,
    "default": features.serve_default,
    "disconnect": features.serve_disconnect,
    "join": features.serve_join,
    "leave": features.serve_leave,
    "ping": features.serve_ping,
    "who": features.serve_who,
    "sendmessage": features.serve_sendmessage,
    "whoami": features.serve_whoami,
}
"""The feature that needs API Gateway's permission to invoke a function."""


@pytest.fixture(scope="module")
def keyed(target: Target, with_fifo_queue: Deployment) -> Iterator[Deployment]:
    """An instance with queued delivery, limits of members and messages, and a key of the table's own.

    Without limits the functions do not need the rights to count. They keep them, because Terraform changes policies
    before functions when a limit is set, and would take them away too early when it is unset.
    """
    assert target.aws is not None
    arns = with_fifo_queue.outputs["function_arns"].values()
    kms = target.aws.session.client("kms", endpoint_url=target.aws.endpoint_url)
    table = with_fifo_queue.outputs["connections_table_name"]
    key = kms.create_key()["KeyMetadata"]["Arn"]
    target.aws.dynamodb.update_table(
        TableName=table, SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    )
    with reconfigured(target.aws.functions, arns, lambda _: LIMITS):
        yield with_fifo_queue
    target.aws.dynamodb.update_table(TableName=table, SSESpecification={"Enabled": False})


@pytest.fixture
async def with_queue_and_key(target: Target, keyed: Deployment) -> AsyncIterator[Lab]:
    """That instance with its clients; no test meets the tasks of another one."""
    async for lab in lab_of(target, keyed):
        yield lab
    assert target.aws is not None
    queue = FanoutQueue(target.aws.sqs, target.aws.functions, keyed.outputs)
    # What a worker has no right for comes back minutes later, at the end of its visibility timeout.
    await asyncio.to_thread(target.aws.sqs.purge_queue, QueueUrl=queue.url)
    await eventually(queue.size, 0, within=60, what="the queue to become empty")


@pytest.fixture
async def without_queue(target: Target) -> AsyncIterator[Lab]:
    """The instance under test with its clients."""
    async for lab in lab_of(target, target.deployment):
        yield lab


async def lab_of(target: Target, deployment: Deployment) -> AsyncIterator[Lab]:
    """Yield an instance, and close its clients."""
    assert target.aws is not None
    lab = Lab(target.aws, deployment, table_of(target, deployment), Crowd(deployment.websocket_url))
    yield lab
    await lab.crowd.finish()


async def fails_without(lab: Lab, function: str, action: str) -> None:
    """Check that a feature works, fails without a right, and works again with it."""
    feature = NEEDED[function, action]
    await needs(lambda: feature(lab), roles_of(lab).without(function, action), f"{function}'s {action}")


def roles_of(lab: Lab) -> Roles:
    """Return the roles of an instance's functions."""
    return Roles(lab.aws, lab.deployment.outputs["function_arns"])


@pytest.mark.parametrize(("function", "action"), sorted(NEEDED.keys() - WITHOUT_QUEUE - WITH_SECRET))
async def test_each_right_is_needed(with_queue_and_key: Lab, function: str, action: str) -> None:
    await fails_without(with_queue_and_key, function, action)


@pytest.mark.parametrize(("function", "action"), sorted(WITHOUT_QUEUE))
async def test_each_right_is_needed_without_a_queue(without_queue: Lab, function: str, action: str) -> None:
    await fails_without(without_queue, function, action)


@pytest.mark.long
async def test_the_right_to_the_secret_is_needed(target: Target) -> None:
    assert target.aws is not None
    vault = target.aws.session.client("secretsmanager", endpoint_url=target.aws.endpoint_url)
    name = f"secret-{secrets.token_hex(3)}"
    arn = vault.create_secret(Name=name, SecretString=features.SECRET)["ARN"]
    tokens = {"jwt_secret_arn": arn, "jwt_issuer": [ISSUER], "jwt_audience": [AUDIENCE]}
    with target.deploy(name, authorization_type="JWT", **tokens) as instance:
        deployment = instance.deployment()
        lab = Lab(target.aws, deployment, table_of(target, deployment), Crowd(deployment.websocket_url))
        function = deployment.outputs["function_arns"]["authorizer"].rpartition(":")[2]
        granted = {("authorizer", action) for action in roles_of(lab).granted("authorizer")}
        assert {right for right in granted if right[1] not in NOT_SHOWN} == WITH_SECRET | NOT_SHOWN_OF.keys()
        assert await features.check_a_token(lab), "fails with all rights"
        with roles_of(lab).without("authorizer", "secretsmanager:GetSecretValue"):
            target.kill(function)  # a running one keeps the secret for ten minutes
            assert not await features.check_a_token(lab)
        target.kill(function)
        assert await features.check_a_token(lab), "fails when the right is given back"


@pytest.mark.parametrize("function", ROUTES)
async def test_each_permission_to_invoke_is_needed(without_queue: Lab, function: str) -> None:
    feature, roles = ROUTES[function], roles_of(without_queue)
    await needs(lambda: feature(without_queue), roles.uninvocable(function), f"the permission to invoke {function}")


async def test_every_granted_right_is_in_the_table(with_queue_and_key: Lab, without_queue: Lab) -> None:
    for lab in (with_queue_and_key, without_queue):
        roles = roles_of(lab)
        granted = {(function, action) for function in roles.arns for action in roles.granted(function)}

        assert {row for row in granted if row[1] not in NOT_SHOWN} <= NEEDED.keys()
        if lab is with_queue_and_key:
            assert NEEDED.keys() - WITH_SECRET <= granted
            always = {action for action in NOT_SHOWN if not action.startswith(WITH_OPTIONS)}
            assert always <= {action for _, action in granted}
