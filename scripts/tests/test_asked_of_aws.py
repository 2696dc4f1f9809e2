"""The comparison of Terraform's requests to AWS with the table written by hand."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from scripts.asked_of_aws import added_functions, differences, functions, policies, table
from scripts.asked_of_aws.comparison import OUTPUTS
from scripts.asked_of_aws.settings import EXECUTION, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    State = dict[str, Any]

STATEMENT = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "table"}
TABLE = {
    OUTPUTS: {"api_id": "a1", "queue_url": None},
    "aws_iam_role_policy.task": {"name": "task", "policy": {"Version": "2012-10-17", "Statement": [STATEMENT]}},
    "module.api.aws_apigatewayv2_stage.this": {
        "tags": {"team": "chat"},
        "route_settings": [{"route_key": "a", "burst": 1}, {"route_key": "b", "burst": 2}],
    },
}


@pytest.fixture(autouse=True)
def small_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small table."""
    monkeypatch.setattr(table, "RUNS", {"run": Run()})
    monkeypatch.setattr(table, "table", lambda *_: copy.deepcopy(TABLE))


def state() -> State:
    """Return the table's objects, completed as by a mocked provider."""
    policy = json.dumps({"Statement": [STATEMENT], "Version": "2012-10-17"}, indent=2)
    stage = {
        "id": "abcdefgh",
        "arn": "a1b2c3d4",
        "access_log_settings": [],
        "auto_deploy": None,
        "tags": {"team": "chat"},
        "tags_all": {},
        "route_settings": [
            {"route_key": "b", "burst": 2, "logging_level": "abcd1234"},
            {"route_key": "a", "burst": 1, "logging_level": "1234abcd"},
        ],
    }
    return {
        "outputs": {"api_id": {"value": "a1"}, "queue_url": {"sensitive": False}},
        "root_module": {
            "resources": [
                {"address": "aws_iam_role_policy.task", "values": {"id": "x", "name": "task", "policy": policy}}
            ],
            "child_modules": [
                {"resources": [{"address": "module.api.aws_apigatewayv2_stage.this", "values": stage}]},
            ],
        },
    }


def task(state: State) -> Any:
    """Return the policy's values."""
    return state["root_module"]["resources"][0]["values"]


def stage(state: State) -> Any:
    """Return the stage's values."""
    return state["root_module"]["child_modules"][0]["resources"][0]["values"]


def test_what_the_table_says_is_no_difference() -> None:
    """The order of sets and keys, attributes that AWS decides, and empty values do not count."""
    assert differences("run", state()) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda state: task(state).update(policy=task(state)["policy"].replace("dynamodb:GetItem", "*")), ".policy is"),
        (lambda state: task(state).update(role="other role"), ".role is"),
        (lambda state: task(state).pop("policy"), ".policy is"),
        (lambda state: stage(state).update(tags={}), ".tags.team is"),
        (lambda state: stage(state)["tags"].update(owner="somebody"), ".tags.owner is"),
        (lambda state: stage(state).update(auto_deploy=True), ".auto_deploy is"),
        (lambda state: stage(state).update(description="abcd1234 is more than a mocked text"), ".description is"),
        (lambda state: stage(state).update(description="is abcd1234"), ".description is"),
        (lambda state: stage(state).update(description="ABCD1234"), ".description is"),
        (lambda state: stage(state).update(deployment_ids=["abcd1234", "a deployment"]), ".deployment_ids is"),
        (lambda state: stage(state).update(limits={"burst": "abcd1234", "rate": 1}), ".limits is"),
        (lambda state: stage(state).update(access_log_settings=[{"format": "$context.path"}]), ".access_log_settings"),
        (lambda state: stage(state)["route_settings"][0].update(burst=1), ".route_settings[1].burst is 1"),
        (lambda state: stage(state)["route_settings"].pop(), ".route_settings is"),
        (lambda state: state["root_module"]["resources"].pop(), "aws_iam_role_policy.task is missing"),
        (lambda state: state["root_module"]["child_modules"][0]["resources"].append(
            {"address": "aws_iam_role.more", "values": {}}
        ), "aws_iam_role.more is in no table"),
        (lambda state: state["outputs"].update(api_id={"value": "b2"}), ".api_id is"),
        (lambda state: state["outputs"].update(secret={"value": "b2c3d4e5"}), ".secret is"),
    ],
)  # fmt: skip
def test_each_difference_is_told(change: Callable[[State], object], place: str) -> None:
    """One change is one sentence that names the place."""
    changed = state()
    change(changed)
    (sentence,) = differences("run", changed)
    assert place in sentence


@pytest.mark.parametrize("value", ["abcd1234", "", "production"])
@pytest.mark.parametrize("place", ["tags", "environment.variables", "triggers", "input"])
def test_each_further_key_of_users_own_is_told_although_it_looks_mocked(
    monkeypatch: pytest.MonkeyPatch, place: str, value: str
) -> None:
    """No provider computes such a key, so a value that looks computed or empty was set."""

    def object_with(keys: dict[str, str]) -> dict[str, Any]:
        *outer, inner = place.split(".")
        return {outer[0]: [{inner: keys}]} if outer else {inner: keys}

    wanted, made = object_with({"A": "1"}), object_with({"A": "1", "B": value})
    monkeypatch.setattr(table, "table", lambda *_: {"thing": wanted, OUTPUTS: {}})
    resources = [{"address": "thing", "values": made}]

    [told] = differences("run", {"outputs": {}, "root_module": {"resources": resources}})

    assert told.startswith("run: thing.")
    assert f".B is {json.dumps(value)}, and should not be set" in told


def test_run_without_a_table_is_told() -> None:
    """A run without a table fails."""
    assert differences("another", state()) == ["another: scripts/asked_of_aws/runs.py has no table of this name"]


def function(rights: object) -> dict[str, Any]:
    """Return Terraform's objects of a function that the table does not name, by address."""
    module = 'module.backend.module.handler["search"]'
    return {
        f"{module}.aws_lambda_function.this": {"description": "Searches.", "memory_size": 512, "timeout": 20},
        f"{module}.aws_iam_role_policy.task": {"policy": json.dumps({"Statement": rights})},
        f'{module}.aws_lambda_permission.this["search"]': {},
        added_functions.STAGE: {
            "route_settings": [{"route_key": "search", "throttling_burst_limit": 5, "throttling_rate_limit": 2.5}]
        },
    }


def test_a_function_that_the_table_does_not_name_is_taken_as_its_row_and_policy_say() -> None:
    rights = [policies.allow("Read", "dynamodb:GetItem", policies.TABLE_ARN)]

    found = added_functions.added(function(rights))

    assert found == {"search": functions.Function("Searches.", 512, 20, {}, rights, "search", (5, 2.5))}
    assert list(added_functions.too_wide(found)) == []


@pytest.mark.parametrize(
    ("action", "resource", "sentence"),
    [
        ("dynamodb:*", policies.TABLE_ARN, "by pattern: dynamodb:*"),
        (["sqs:SendMessage", "sqs:*"], policies.QUEUE_ARN, "by pattern: sqs:SendMessage, sqs:*"),
        ("dynamodb:GetItem", "*", "rights to *,"),
        ("dynamodb:GetItem", f"{policies.TABLE_ARN}/*", "rights to "),
        ("execute-api:ManageConnections", f"{EXECUTION}/*", "rights to "),
        ("execute-api:ManageConnections", f"{EXECUTION}/live/*/@connections/*", "rights to "),
        ("s3:GetObject", "arn:aws-cn:s3:::secrets", "rights to "),
    ],
)
def test_its_rights_stay_within_those_of_the_others(action: Any, resource: str, sentence: str) -> None:
    found = added_functions.added(function([policies.allow("Any", action, resource)]))

    [told] = added_functions.too_wide(found)
    assert told.startswith("search has ")
    assert sentence in told
