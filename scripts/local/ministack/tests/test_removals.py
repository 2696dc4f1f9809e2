"""Values that an update removes by an empty one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scripts.local.ministack.tests.apis import STAGE, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.local.ministack.tests.apis import Api

FILTERS = {"Filters": [{"Pattern": json.dumps({"body": {"room": ["one"]}})}]}


def variables(api: Api, change: dict[str, str]) -> dict[str, str]:
    """Change a stage's variables; return all that it has."""
    gateway = client("apigatewayv2", api.endpoint)
    gateway.update_stage(ApiId=api.api_id, StageName=STAGE, StageVariables=change)
    found: dict[str, str] = gateway.get_stage(ApiId=api.api_id, StageName=STAGE)["StageVariables"]
    return found


def test_a_stage_variable_without_a_value_is_gone(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    given = {"StageVariables": {"one": "1", "two": "2"}}
    api = on_corrected(stage=given)
    assert variables(api, {"three": "3"}) == {"one": "1", "two": "2", "three": "3"}
    assert variables(api, {"one": "", "two": "4"}) == {"two": "4", "three": "3"}
    assert variables(on_plain(stage=given), {"one": ""}) == {"one": ""}


@pytest.mark.parametrize(
    ("name", "value", "nothing"),
    [("FilterCriteria", FILTERS, {"Filters": []}), ("ScalingConfig", {"MaximumConcurrency": 5}, {})],
)
@pytest.mark.parametrize("is_empty", [True, False])
def test_a_setting_of_a_mapping_without_parts_is_gone(
    on_corrected: Callable[..., Api],
    on_plain: Callable[..., Api],
    name: str,
    value: dict[str, Any],
    nothing: dict[str, Any],
    *,
    is_empty: bool,
) -> None:
    for make, left in ((on_corrected, None), (on_plain, {} if is_empty else nothing)):
        api = make()
        functions, sqs = client("lambda", api.endpoint), client("sqs", api.endpoint)
        queue = sqs.create_queue(QueueName=api.function)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        mapping = functions.create_event_source_mapping(EventSourceArn=arn, FunctionName=api.function, **{name: value})
        assert mapping[name] == value
        answer = functions.update_event_source_mapping(UUID=mapping["UUID"], **{name: {} if is_empty else nothing})
        found = functions.get_event_source_mapping(UUID=mapping["UUID"])
        assert (answer.get(name), found.get(name)) == (left, left)
        functions.delete_event_source_mapping(UUID=mapping["UUID"])
