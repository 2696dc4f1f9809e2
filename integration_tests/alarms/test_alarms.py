"""Each alarm rings for its fault, on the metrics that it names, and is over when the fault is."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from integration_tests.alarms.faults import Stage, injected, visitors
from integration_tests.alarms.runbooks import check_first_command
from integration_tests.harness.alarms.evaluator import Evaluator
from integration_tests.harness.faults.control import running_proxy
from integration_tests.harness.faults.kinds import Latency, Status
from integration_tests.harness.faults.rules import Rule
from integration_tests.harness.faults.through_proxy import routed_through_proxy
from integration_tests.security.keys import RsaKey
from integration_tests.security.minting import AUDIENCE, ISSUER, token
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from integration_tests.harness.faults.control import FaultControl
    from integration_tests.targets.interface import Changeable, Target

pytestmark = [pytest.mark.emulator_only, pytest.mark.timeout(1200)]

MINUTE = 5
"""Seconds that stand for the minutes of the alarms' periods, so that three of them last seconds."""
PERIODS = 8
"""Evaluated at most, with those that are read besides: after as many without a fault, an alarm is over."""
STATE_WITHIN = 3.0 * MINUTE * PERIODS
"""Seconds in which an alarm must begin or be over: a fault comes into force and meets clients first."""
DELAY = 1.5
"""Seconds by which posts are late, longer than the threshold in these tests."""
THRESHOLDS = {"delivery-late": 1000, "queue-age": 2}
"""Other thresholds than the defaults, because a test waits for them: milliseconds, and seconds."""
UNREACHABLE = "http://127.0.0.1:1/keys"


class Fault(NamedTuple):
    """A fault.

    Attributes:
        alarms: Those that it raises.
        inject: Injects it into a stage with a proxy.
        clients: Clients at a time, as many as the alarms' floors need.
    """

    alarms: Sequence[str]
    inject: Callable[[Stage, FaultControl], AbstractContextManager[None]]
    clients: int = 3


FAULTS = {
    "a function must not run": Fault(
        ("execution-errors", "function-throttles-1"), lambda stage, _: stage.without_concurrency("whoami")
    ),
    "a function cannot be loaded": Fault(("function-errors-1",), lambda stage, _: stage.crashing("whoami")),
    "the table refuses the handshake's function": Fault(
        ("joins-failing", "unavailable"), lambda stage, _: stage.denied("connect", "dynamodb:*")
    ),
    "API Gateway refuses posts": Fault(
        ("posts-failed", "posts-refused"), lambda stage, _: stage.posting_elsewhere("sendmessage")
    ),
    "API Gateway refuses handshakes": Fault(
        ("handshakes-refused",), lambda stage, _: stage.refusing_handshakes(), clients=20
    ),
    "a queue's worker must not run": Fault(
        ("dead-letters-publish", "queue-age-publish"), lambda stage, _: stage.waiting_and_given_up()
    ),
    "the account's requests are used up": Fault(
        ("posts-throttled",),
        lambda _, proxy: injected(proxy, Rule("throttled", Status(429), service="management", rate=0.5)),
        clients=10,
    ),
    "posts take long": Fault(
        ("delivery-late",),
        lambda _, proxy: injected(proxy, Rule("late", Latency(DELAY), when="after", service="management")),
        clients=30,
    ),
}

QUICK = {"API Gateway refuses posts", "the account's requests are used up"}
"""Faults that show within a minute, also on a busy machine: late posts count only where there are 20 in such a short
minute."""


class Watched(NamedTuple):
    """A stage, its alarms, and the queue that gets what they tell their topic."""

    instance: Changeable
    stage: Stage
    evaluator: Evaluator
    queue_url: str

    def told(self) -> list[tuple[str, str]]:
        """Take what the topic was told: names of alarms, and states."""
        answer = self.stage.aws.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        texts = [json.loads(json.loads(message["Body"])["Message"]) for message in answer.get("Messages", [])]
        prefix = self.evaluator.prefix
        return [(text["AlarmName"].removeprefix(prefix), text["NewStateValue"]) for text in texts]


@contextmanager
def watched_stage(target: Target, **variables: object) -> Iterator[Watched]:
    """Apply an instance with alarms."""
    assert target.aws is not None
    aws, name = target.aws, f"alarms-{secrets.token_hex(3)}"
    sns = aws.session.client("sns", endpoint_url=aws.endpoint_url)
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue_url = aws.sqs.create_queue(QueueName=f"{name}-told")["QueueUrl"]
    queue = aws.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:*", "Resource": queue}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    aws.sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    alarms = {"page_topic_arn": topic, "thresholds": THRESHOLDS}
    with target.deploy(name, alarms=alarms, **variables) as instance:
        evaluator = Evaluator(aws.cloudwatch, f"{name}-", MINUTE)
        yield Watched(instance, Stage(aws, instance.deployment()), evaluator, queue_url)


@pytest.fixture(scope="module")
def watched(target: Target) -> Iterator[Watched]:
    """A stage with all alarms but the authorizer's."""
    with watched_stage(target, access_log_enabled=True, dashboard_enabled=True, publish_queue_enabled=True) as stage:
        yield stage


@pytest.fixture(scope="module")
def proxy(target: Target, watched: Watched) -> Iterator[FaultControl]:
    """A fault proxy between that stage's functions and AWS."""
    assert target.aws is not None
    assert target.aws.endpoint_url is not None
    with (
        running_proxy(target.aws.endpoint_url) as control,
        routed_through_proxy(target.aws, watched.stage.deployment, control.url),
    ):
        yield control


async def test_alarms_are_planned_once(watched: Watched) -> None:
    plan = await asyncio.to_thread(watched.instance.plan)
    assert not plan.changes, plan.text


NOT_YET = {
    ("AWS/ApiGateway", "ClientError"),
    ("AWS/ApiGateway", "IntegrationError"),
    ("AWS/Lambda", "ConcurrentExecutions"),
    ("AWS/Lambda", "Throttles"),
    ("AWS/Logs", "IncomingBytes"),
    ("Roomcast", "failed"),
    ("Roomcast", "gone"),
    ("Roomcast", "join_failed"),
    ("Roomcast", "slow"),
    ("Roomcast", "throttled"),
}
"""Metrics of the dashboard that a stage without trouble does not write, and those that the emulator does not."""
VISITED = ("connect", "default", "disconnect", "sendmessage", "whoami")
"""Functions that a visit invokes; others have no metrics yet."""


async def test_the_dashboard_shows_what_there_is(watched: Watched) -> None:
    cloudwatch, outputs = watched.stage.aws.cloudwatch, watched.stage.deployment.outputs
    region = watched.stage.aws.session.region_name
    name = f"{watched.evaluator.prefix}{region}"
    body = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    shown = [widget["properties"] for widget in body["widgets"]]
    assert shown[0]["alarms"] == sorted(alarm["AlarmArn"] for alarm in watched.evaluator.alarms())
    assert {widget["region"] for widget in shown if "metrics" in widget} == {region}
    assert all(f"`{group}`" in shown[-1]["markdown"] for group in outputs["log_group_names"].values())

    entries = [metric for widget in shown for metric in widget.get("metrics", ()) if isinstance(metric[0], str)]
    metrics = {tuple(each for each in metric if isinstance(each, str)) for metric in entries}

    functions = {arn.rpartition(":")[2] for arn in outputs["function_arns"].values()}
    assert {metric[-1] for metric in metrics if metric[1] == "Errors"} == functions

    none: set[tuple[str, ...]] = set()

    def missing() -> set[tuple[str, ...]]:
        known = set()
        for page in cloudwatch.get_paginator("list_metrics").paginate():
            for metric in page["Metrics"]:
                dimensions = [(each["Name"], each["Value"]) for each in metric.get("Dimensions", ())]
                known.add((metric["Namespace"], metric["MetricName"], *sum(sorted(dimensions), ())))
        visited = {f"{watched.evaluator.prefix}{handler}" for handler in VISITED}
        unwritten = {metric for metric in metrics - known if metric[:2] not in NOT_YET}
        return {metric for metric in unwritten if metric[0] != "AWS/Lambda" or metric[-1] in visited}

    async with visitors(watched.stage.deployment.websocket_url, 2):
        await eventually(lambda: asyncio.to_thread(missing), none, within=60, what="metrics that are not written")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in QUICK else pytest.mark.long) for kind in FAULTS]
)
async def test_alarms_ring_for_their_fault_alone(kind: str, watched: Watched, proxy: FaultControl) -> None:
    fault, stage, evaluator = FAULTS[kind], watched.stage, watched.evaluator
    names = {alarm["AlarmName"].removeprefix(evaluator.prefix) for alarm in evaluator.alarms()}
    healthy = dict.fromkeys(names, "OK")
    url = stage.deployment.websocket_url
    async with evaluator.watching(), visitors(url, fault.clients):
        await evaluator.expect(healthy, within=STATE_WITHIN)
        with fault.inject(stage, proxy):
            await evaluator.expect(dict.fromkeys(fault.alarms, "ALARM"), within=STATE_WITHIN)
            for name in fault.alarms:
                await check_first_command(stage, evaluator, name)
        await evaluator.expect(healthy, within=STATE_WITHIN)

    told: list[tuple[str, str]] = []

    async def all_told() -> bool:
        told.extend(await asyncio.to_thread(watched.told))
        return {(name, state) for name in fault.alarms for state in ("ALARM", "OK")} <= {*told}

    await eventually(all_told, expected=True, within=20, what="the topic to be told")


def test_each_alarm_has_a_fault(watched: Watched) -> None:
    alarms = {alarm["AlarmName"].removeprefix(watched.evaluator.prefix) for alarm in watched.evaluator.alarms()}
    assert {name for fault in FAULTS.values() for name in fault.alarms} == alarms


@pytest.mark.long
async def test_the_authorizers_alarm_rings_without_keys(target: Target) -> None:
    key = RsaKey("rsa")
    variables = {"authorization_type": "JWT", "jwt_issuer": [ISSUER], "jwt_audience": [AUDIENCE]}
    with watched_stage(target, jwt_jwks_url=UNREACHABLE, **variables) as watched:
        evaluator = watched.evaluator
        async with (
            evaluator.watching(),
            visitors(watched.stage.deployment.websocket_url, 2, lambda: {"Authorization": f"Bearer {token(key)}"}),
        ):
            await evaluator.expect({"authorizer-unavailable": "ALARM"}, within=STATE_WITHIN)
            await check_first_command(watched.stage, evaluator, "authorizer-unavailable")
        assert evaluator.states["function-errors-1"] == "OK"
