"""Rules strike the right requests, and senseless rules are refused."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from integration_tests.harness.faults.fields import RuleError
from integration_tests.harness.faults.kinds import (
    KINDS,
    Fault,
    Latency,
    LimitData,
    Reset,
    Sliced,
    SlowClose,
    Status,
    Timeout,
)
from integration_tests.harness.faults.requests import Request
from integration_tests.harness.faults.rule_book import RuleBook
from integration_tests.harness.faults.rules import FaultPlan, Rule

POST = Request("management", "PostToConnection", "abc=")
EVERY_KIND: list[Fault] = [
    Status(429, "LimitExceededException"),
    Latency(0.2, 0.1),
    Reset(),
    Timeout(3.0),
    SlowClose(1.0),
    Sliced(2, 0.01),
    LimitData(40),
]


@pytest.mark.parametrize(
    ("method", "path", "target", "expected"),
    [
        ("POST", "/_aws/execute-api/a1/live/@connections/abc%3D", "", POST),
        ("POST", "/live/%40connections/abc=", "", POST),
        ("GET", "/@connections/x%2Fy", "", Request("management", "GetConnection", "x/y")),
        ("DELETE", "/live/@connections/abc=?x=1", "", Request("management", "DeleteConnection", "abc=")),
        ("POST", "/", "DynamoDB_20120810.Query", Request("dynamodb", "Query")),
        ("POST", "/", "AmazonSQS.SendMessage", Request("sqs", "SendMessage")),
        ("POST", "/", "Logs_20140328.PutLogEvents", Request()),
        ("GET", "/_ministack/ready", "", Request()),
    ],
)
def test_service_and_operation_are_read_from_the_request(
    method: str, path: str, target: str, expected: Request
) -> None:
    assert Request.read(method, path, {"x-amz-target": target} if target else {}) == expected


@pytest.mark.parametrize(
    ("wanted", "strikes"),
    [
        ({}, True),
        ({"service": "management"}, True),
        ({"service": "dynamodb"}, False),
        ({"operation": "PostToConnection"}, True),
        ({"operation": "GetConnection"}, False),
        ({"connection_id": "abc="}, True),
        ({"connection_id": "other="}, False),
    ],
)
def test_a_rule_strikes_matching_requests_alone(wanted: dict[str, Any], strikes: bool) -> None:
    rule = Rule("r", Reset(), **wanted)
    assert RuleBook([rule]).strike(POST) == (rule if strikes else None)


def test_the_first_rule_that_strikes_takes_the_request() -> None:
    never, dynamodb, always = Rule("0", Reset(), rate=0), Rule("1", Reset(), service="dynamodb"), Rule("2", Reset())
    book = RuleBook([never, dynamodb, always, Rule("3", Reset())])
    assert book.strike(POST) is always
    assert [(count.matched, count.struck) for count in book.counts()] == [(1, 0), (0, 0), (1, 1), (0, 0)]


def test_a_rate_is_kept_and_a_seed_repeats_it() -> None:
    def struck(seed: int) -> list[bool]:
        book = RuleBook([Rule("r", Reset(), rate=0.2)], seed)
        return [book.strike(POST) is not None for _ in range(2000)]

    assert struck(1) == struck(1) != struck(2)
    assert sum(struck(1)) == pytest.approx(400, abs=80)


def test_a_rule_rests_after_its_limit() -> None:
    book = RuleBook([Rule("r", Reset(), limit=3)])
    assert sum(book.strike(POST) is not None for _ in range(10)) == 3
    assert (book.counts()[0].matched, book.counts()[0].struck) == (10, 3)


@pytest.mark.parametrize("fault", EVERY_KIND, ids=lambda fault: fault.kind)
def test_every_kind_of_fault_survives_its_json_form(fault: Fault) -> None:
    rule = Rule("name", fault, "after", "dynamodb", "Query", "", 0.5, 7)
    assert Rule.read(rule.to_json()) == rule


def test_every_kind_is_among_those_tested() -> None:
    assert {type(fault) for fault in EVERY_KIND} == set(KINDS.values())


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        ({"name": "r", "fault": {"kind": "explode"}}, "kind must be one of status, latency, reset"),
        ({"name": "r"}, "kind must be one of"),
        ({"name": "r", "fault": {"kind": "status"}}, "fault status: status must be given"),
        ({"name": "r", "fault": {"kind": "status", "status": 200}}, "status must be from 400 to 599"),
        ({"name": "r", "fault": {"kind": "status", "status": "429"}}, "status must be of the type int"),
        ({"name": "r", "fault": {"kind": "status", "status": 429.5}}, "status must be of the type int"),
        ({"name": "r", "fault": {"kind": "timeout", "seconds": True}}, "seconds must be of the type float"),
        ({"name": ["r"], "fault": {"kind": "reset"}}, "name must be of the type str"),
        ({"name": "r", "fault": {"kind": "reset"}, "operation": ["Query"]}, "operation must be of the type str"),
        ({"name": "r", "fault": {"kind": "reset", "now": 1}}, "unknown field now"),
        ({"name": "r", "fault": {"kind": "latency", "seconds": 0.1, "jitter": 0.2}}, "seconds >= jitter >= 0"),
        ({"name": "r", "fault": {"kind": "timeout", "seconds": -1}}, "seconds must not be negative"),
        ({"name": "r", "fault": {"kind": "slow_close", "seconds": 0}}, "seconds must be greater than 0"),
        ({"name": "r", "fault": {"kind": "sliced", "size": 0}, "when": "after"}, "size must be at least 1"),
        ({"name": "r", "fault": {"kind": "limit_data", "size": -1}}, "size must not be negative"),
        ({"name": "r", "fault": {"kind": "limit_data", "size": 9}}, 'about the answer; write "when": "after"'),
        ({"fault": {"kind": "reset"}}, "rule without a name: name must be given"),
        ({"name": "r", "fault": {"kind": "reset"}, "when": "never"}, "when must be one of before, after"),
        ({"name": "r", "fault": {"kind": "reset"}, "rate": 2}, "rate must be from 0 to 1"),
        ({"name": "r", "fault": {"kind": "reset"}, "limit": -1}, "limit must not be negative"),
        ({"name": "r", "fault": {"kind": "reset"}, "service": "s3"}, "one of management, dynamodb, sqs"),
        ({"name": "r", "fault": {"kind": "reset"}, "speed": 1}, "rule r: unknown field speed; allowed are name, fault"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_a_sentence(description: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RuleError, match=sentence):
        Rule.read(description)


def test_two_rules_need_two_names() -> None:
    with pytest.raises(RuleError, match="name of its own"):
        RuleBook([Rule("r", Reset()), Rule("r", Reset())])


def test_plan_of_faults_survives_its_json_form_and_names_unusual_fields() -> None:
    plan = FaultPlan((Rule("busy", Status(429), service="management", rate=0.05), Rule("slow", Latency(0.2))), seed=7)

    assert FaultPlan.loads(plan.dumps()) == plan
    busy, slow = "busy (status before, status 429, service management, rate 0.05)", "slow (latency before, seconds 0.2)"
    assert str(plan) == f"{busy}; {slow}"


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"rules": 7}', '{"rules": [7]}', '{"rules": [], "seed": []}'])
def test_plan_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match="expected a JSON object"):
        FaultPlan.loads(text)


def test_plan_for_load_runs_strikes_nothing_that_could_make_a_second_copy_right() -> None:
    plan = FaultPlan.loads((Path(__file__).parents[1] / "mild.json").read_text())

    assert {rule.service for rule in plan.rules} == {"management", "dynamodb"}
    assert {rule.fault.kind for rule in plan.rules if rule.when == "after"} <= {"sliced", "latency"}


@pytest.mark.parametrize(
    ("service", "status", "error"),
    [
        ("management", 410, "GoneException"),
        ("management", 429, "LimitExceededException"),
        ("dynamodb", 400, "ProvisionedThroughputExceededException"),
        ("sqs", 503, "ServiceUnavailable"),
        ("dynamodb", 502, "InternalFailure"),
        ("", 404, "BadRequest"),
    ],
)
def test_a_status_has_the_name_that_the_service_gives_it(service: str, status: int, error: str) -> None:
    assert Status(status).name_for(service) == error
    assert Status(status, "TransactionConflictException").name_for(service) == "TransactionConflictException"


README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_readmes_example_is_accepted() -> None:
    example = json.loads(README.split("```json")[1].split("```")[0])
    assert [Rule.read(rule).name for rule in example["rules"]] == ["throttled", "answer lost", "table busy"]


def test_the_readme_lists_every_field_and_kind() -> None:
    rows = {line.split("`")[1]: line for line in README.splitlines() if line.startswith("| `")}
    assert {each.name for each in fields(Rule)} | set(KINDS) <= rows.keys()
    for name, kind in KINDS.items():
        assert all(f"`{each.name}`" in rows[name] for each in fields(kind)), name
