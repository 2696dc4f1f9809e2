"""Alarms on several metrics."""

from __future__ import annotations

import re
import secrets
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from scripts.local.aws import ACCESS_KEY, REGION
from scripts.local.ministack.tests.apis import client
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS = [
    {
        "Id": "failures",
        "ReturnData": False,
        "MetricStat": {
            "Metric": {
                "Namespace": "Roomcast",
                "MetricName": "failed",
                "Dimensions": [{"Name": "Backend", "Value": "chat"}, {"Name": "Other", "Value": "<a&b>"}],
            },
            "Period": 60,
            "Stat": "Sum",
        },
    },
    {"Id": "result", "ReturnData": True, "Expression": "IF(failures < 5, 0, 1)", "Label": "share"},
]
ALARM: dict[str, Any] = {
    "ActionsEnabled": True,
    "AlarmActions": ["arn:aws:sns:us-east-1:111122223333:pages"],
    "AlarmDescription": "a < b",
    "ComparisonOperator": "GreaterThanThreshold",
    "DatapointsToAlarm": 3,
    "EvaluationPeriods": 5,
    "InsufficientDataActions": ["arn:aws:sns:us-east-1:111122223333:tickets"],
    "Metrics": METRICS,
    "OKActions": ["arn:aws:sns:us-east-1:111122223333:pages"],
    "Threshold": 1.5,
    "TreatMissingData": "notBreaching",
}
OF_ONE_METRIC = {"Dimensions", "MetricName", "Namespace", "Period", "Statistic"}
"""Attributes that DescribeAlarms leaves out for an alarm on several metrics."""


def query(endpoint: str, action: str, **parameters: object) -> ET.Element:
    """Send a request of the query protocol, which the AWS provider speaks, and return its answer's result."""
    fields = {"Action": action, "Version": "2010-08-01", **dict(flat(parameters))}
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    body = urllib.parse.urlencode(fields)
    request = AWSRequest("POST", f"{endpoint}/", data=body, headers=headers)
    SigV4Auth(Credentials(ACCESS_KEY, ACCESS_KEY), "monitoring", REGION).add_auth(request)
    signed = request.prepare()
    with urllib.request.urlopen(
        urllib.request.Request(signed.url, body.encode(), dict(signed.headers)),
        timeout=scaled(20),
    ) as answer:
        text = re.sub(' xmlns="[^"]+"', "", answer.read().decode(), count=1)
    result = ET.fromstring(text).find(f"{action}Result")  # noqa: S314 - the emulator's
    return ET.Element("none") if result is None else result


def flat(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Return a value as parameters of the query protocol."""
    if isinstance(value, dict):
        return [each for key, item in value.items() for each in flat(item, f"{path}.{key}" if path else key)]
    if isinstance(value, list):
        return [each for index, item in enumerate(value, 1) for each in flat(item, f"{path}.member.{index}")]
    return [(path, str(value).lower() if isinstance(value, bool) else str(value))]


def plain_of(element: ET.Element) -> Any:
    """Return an XML element as texts, lists and objects."""
    children = list(element)
    if not children:
        return element.text or ""
    if all(child.tag == "member" for child in children):
        return [plain_of(child) for child in children]
    return {child.tag: plain_of(child) for child in children}


def texts(value: Any) -> Any:
    """Return a value with texts in place of numbers."""
    if isinstance(value, dict):
        return {key: texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [texts(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def described(endpoint: str, name: str) -> Mapping[str, Any]:
    """Return an alarm as XML describes it."""
    answer = plain_of(query(endpoint, "DescribeAlarms", AlarmNames=[name]))
    [alarm] = answer["MetricAlarms"]
    assert isinstance(alarm, dict)
    return alarm


def test_an_alarm_is_described_with_all_that_it_was_given(corrected: str, plain: str) -> None:
    name = f"probe-{secrets.token_hex(4)}"
    wanted = texts({**ALARM, "AlarmName": name, "StateValue": "INSUFFICIENT_DATA"})
    query(corrected, "PutMetricAlarm", AlarmName=name, **ALARM)
    alarm = described(corrected, name)
    assert {key: alarm[key] for key in wanted} == wanted
    assert not alarm.keys() & OF_ONE_METRIC

    query(plain, "PutMetricAlarm", AlarmName=name, **ALARM)
    assert "Metrics" not in described(plain, name)


def test_an_alarm_has_the_same_metrics_in_every_protocol(corrected: str) -> None:
    name = f"probe-{secrets.token_hex(4)}"
    client("cloudwatch", corrected).put_metric_alarm(AlarmName=name, **ALARM)
    assert described(corrected, name)["Metrics"] == texts(METRICS)
    [alarm] = client("cloudwatch", corrected).describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert {key: alarm[key] for key in ALARM} == ALARM

    query(corrected, "PutMetricAlarm", AlarmName=f"{name}-2", **ALARM)
    [alarm] = client("cloudwatch", corrected).describe_alarms(AlarmNames=[f"{name}-2"])["MetricAlarms"]
    assert {key: alarm[key] for key in ALARM} == ALARM


def test_an_alarm_on_one_metric_keeps_its_own(corrected: str) -> None:
    name = f"probe-{secrets.token_hex(4)}"
    given: dict[str, Any] = {
        "ComparisonOperator": "LessThanThreshold",
        "Dimensions": [{"Name": "a", "Value": "b"}],
        "EvaluationPeriods": 1,
        "MetricName": "m",
        "Namespace": "Probe",
        "Period": 300,
        "Statistic": "Sum",
        "Threshold": 2.0,
    }
    query(corrected, "PutMetricAlarm", AlarmName=name, **given)
    alarm = described(corrected, name)
    assert {key: alarm[key] for key in given} == texts(given)
    assert "Metrics" not in alarm
