"""Plans from states in which an apply has remembered its values: complete, of an earlier commit, or interrupted.

The states hold nothing but the objects of ``modules/backend/remembered.tf``, so every other object is planned anew. No
request reaches AWS.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.contract.test_addresses import PROVIDER
from scripts.terraform import CONFIGURATION, TerraformError, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

pytestmark = pytest.mark.without_target

BEFORE = "2026-01-01T00:00:00Z"
VALUES: Mapping[str, Any] = {
    "name": "roomcast",
    "queued_delivery": True,
    "shards_per_room": 2,
    "shards_read": 4,
    "stage_name": "live",
    "table_kms_key_arn": None,
    "table_name": "roomcast-connections",
}
VARIABLES: Mapping[str, Any] = {"queued_delivery": {"enabled": True}, "shards_per_room": 2, "shards_read": 4}
SETTLED = ("queued_delivery", "shards_per_room", "shards_read")
FIRST_VALUES = ("name", "stage_name", "table_kms_key_arn", "table_name")
"""Values that commit 6e87caf remembered, under one `in_use`."""
OFF: Mapping[str, Any] = {"queued_delivery": {"enabled": False}}
REMEMBERED = "terraform/modules/backend/remembered.tf"


def remembered(kind: str, values: Iterable[str], *, is_replaced: bool = False) -> dict[str, Any]:
    """Return one resource of a state, with an object for each value."""
    return resource(kind, [(key, [VALUES[key]] if is_replaced else None) for key in values])


def resource(kind: str, objects: Iterable[tuple[str | None, Any]]) -> dict[str, Any]:
    """Return one `terraform_data` of a state.

    Args:
        kind: Its name.
        objects: Key and `triggers_replace` of each object.
    """
    time = {"value": BEFORE, "type": "string"}
    return {
        "module": "module.backend",
        "mode": "managed",
        "type": "terraform_data",
        "name": kind,
        "provider": 'provider["terraform.io/builtin/terraform"]',
        "instances": [
            {
                "schema_version": 0,
                **({} if key is None else {"index_key": key}),
                "attributes": {
                    "id": f"{kind}-{key}",
                    "input": time,
                    "output": time,
                    "triggers_replace": triggers and {"value": triggers, "type": ["tuple", [kind_of(triggers[0])]]},
                },
            }
            for key, triggers in objects
        ],
    }


def kind_of(value: object) -> str:
    """Return Terraform's type of a value; null is a string here."""
    return {bool: "bool", int: "number"}.get(type(value), "string")


def complete(*, unsettled: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return the values that an apply has remembered, except that functions may not have some values yet."""
    return [
        remembered("value_in_use", VALUES, is_replaced=True),
        remembered("in_use", VALUES),
        remembered("settled", [key for key in SETTLED if key not in unsettled], is_replaced=True),
        remembered("settled_before", SETTLED),
    ]


def plan(
    scratch: Path, resources: list[dict[str, Any]], variables: Mapping[str, Any], edits: Mapping[str, str] | None = None
) -> dict[str, list[str]]:
    """Plan the root from a state; return the planned actions of each `terraform_data`.

    Raises:
        TerraformError: A change is refused.
    """
    workspace = Workspace(CONFIGURATION, scratch, variables={**VARIABLES, **variables})
    workspace.init()
    (workspace.tree / CONFIGURATION.name / "provider_override.tf").write_text(PROVIDER, encoding="utf-8")
    file = workspace.tree / REMEMBERED
    for text, instead in (edits or {}).items():
        assert text in file.read_text(encoding="utf-8")
        file.write_text(file.read_text(encoding="utf-8").replace(text, instead), encoding="utf-8")
    state = {"version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "kept", "resources": resources}
    (scratch / "terraform.tfstate").write_text(json.dumps(state), encoding="utf-8")
    targets = [f"-target=module.backend.terraform_data.{kind}" for kind in ("in_use", "refusals")]
    changes = workspace.changes("-refresh=false", *targets)
    return {
        change["address"].removeprefix("module.backend.terraform_data."): change["change"]["actions"]
        for change in changes
        if change["address"].startswith("module.backend.terraform_data.")
    }


def test_the_same_values_change_nothing_that_is_remembered(tmp_path: Path) -> None:
    actions = plan(tmp_path, complete(), {})
    assert {address for address, action in actions.items() if action != ["no-op"]} == {"refusals", "queue[0]"}


def test_a_value_that_a_release_remembers_for_the_first_time_is_not_refused(tmp_path: Path) -> None:
    """Every state in use lacks it, so that a refusal would block every upgrade."""
    edits = {
        "  remembered = {\n": "  remembered = {\n    pace = var.pace\n",
        '      condition     = !local.refused["name"]\n': (
            '      condition     = !local.refused["name"] && !local.refused["pace"]\n'
        ),
        '["queued_delivery", "shards_per_room",': '["pace", "queued_delivery", "shards_per_room",',
    }
    actions = plan(tmp_path, complete(), {"pace": 500}, edits)
    assert actions['value_in_use["pace"]'] == actions['settled["pace"]'] == ["create"]


def test_an_earlier_commits_state_is_not_refused(tmp_path: Path) -> None:
    state = [remembered("value_in_use", FIRST_VALUES, is_replaced=True), resource("in_use", [(None, None)])]
    actions = plan(tmp_path / "same", state, {})
    assert actions['in_use["name"]'] == actions['value_in_use["name"]'] == ["no-op"]
    with pytest.raises(TerraformError, match="name is part of every name"):
        plan(tmp_path / "renamed", state, {"name": "other"})


def test_the_queue_stays_until_the_sender_has_left_it(tmp_path: Path) -> None:
    """An apply that turned queued delivery off and stopped may not have changed `sendmessage`."""
    off = complete(unsettled=["queued_delivery"])
    off[0] = resource("value_in_use", [(key, [value]) for key, value in {**VALUES, "queued_delivery": False}.items()])
    with pytest.raises(TerraformError, match=r"did not finish, so\s+sendmessage"):
        plan(tmp_path / "off", off, OFF)
    plan(tmp_path / "on", off, {})
    assert 'settled["queued_delivery"]' in plan(tmp_path / "first", off[:-1], OFF), "a first apply is completed"


def test_an_apply_that_changed_shards_and_stopped_is_finished_first(tmp_path: Path) -> None:
    state = complete(unsettled=["shards_read"])
    assert plan(tmp_path / "finished", state, {})['settled["shards_read"]'] == ["create"]
    with pytest.raises(TerraformError, match="must not change in one apply"):
        plan(tmp_path / "raised", state, {"shards_per_room": 4})
