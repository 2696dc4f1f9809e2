"""Plans from states in which an apply has remembered its values: complete, of an earlier commit, or interrupted.

States and plans hold nothing but the objects of ``modules/backend/remembered.tf``, which need no AWS provider.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from scripts.hcl import read_blocks
from scripts.terraform import CONFIGURATION, TerraformError
from scripts.terraform.executable import executable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

pytestmark = pytest.mark.without_target

BEFORE = "2026-01-01T00:00:00Z"
VALUES: Mapping[str, Any] = {
    "history": False,
    "kick": False,
    "name": "roomcast",
    "presence": False,
    "publish_queue": False,
    "queued_delivery": True,
    "shards_per_room": 2,
    "shards_read": 4,
    "stage_name": "live",
    "table_kms_key_arn": None,
    "table_name": "roomcast-connections",
}
VARIABLES: Mapping[str, Any] = {"queued_delivery": {"enabled": True}, "shards_per_room": 2, "shards_read": 4}
SETTLED = ("history", "kick", "presence", "queued_delivery", "shards_per_room", "shards_read")
FIRST_VALUES = ("name", "stage_name", "table_kms_key_arn", "table_name")
"""Values that commit 6e87caf remembered, under one `in_use`."""
OFF: Mapping[str, Any] = {"queued_delivery": {"enabled": False}}
BACKEND = CONFIGURATION / "modules" / "backend"
ALIASES = "[aws_lambda_alias.readers, aws_lambda_alias.writers]"
LOCAL = re.compile(r"\blocal\.(\w+)")


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
        resource("members_counted", [(None, [False])]),
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
    _write_module(scratch / "backend", edits or {})
    calls = {"module": {"backend": {"source": "./backend", **VARIABLES, "name": VALUES["name"], **variables}}}
    (scratch / "main.tf.json").write_text(json.dumps(calls), encoding="utf-8")
    state = {"version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "kept", "resources": resources}
    (scratch / "terraform.tfstate").write_text(json.dumps(state), encoding="utf-8")
    _terraform(scratch, "init")
    _terraform(scratch, "plan", "-out=planned")
    return {
        change["address"].removeprefix("module.backend.terraform_data."): change["change"]["actions"]
        for change in json.loads(_terraform(scratch, "show", "-json", "planned"))["resource_changes"]
    }


def _write_module(folder: Path, edits: Mapping[str, str]) -> None:
    """Write the part of the backend that remembers values, with an empty module in place of functions and aliases."""
    (folder / "functions").mkdir(parents=True)
    files = (BACKEND / "remembered.tf", *BACKEND.glob("variables*.tf"))
    parts = {file.name: file.read_text(encoding="utf-8") for file in files}
    for text, instead in {ALIASES: "[module.handler]", **edits}.items():
        assert text in parts["remembered.tf"]
        parts["remembered.tf"] = parts["remembered.tf"].replace(text, instead)
    defined = {
        name: attribute.text
        for file in BACKEND.glob("*.tf")
        for block in read_blocks(file)
        if block.kind == "locals" and file.name not in parts
        for name, attribute in block.attributes.items()
    }
    values: dict[str, str] = {"routes": "{}"}
    texts = [*parts.values()]
    while texts:
        for name in defined.keys() & {*LOCAL.findall(texts.pop())} - values.keys():
            values[name] = defined[name]
            texts.append(defined[name])
    rest = "".join(f"  {name} = {value}\n" for name, value in values.items())
    parts["rest.tf"] = f'locals {{\n{rest}}}\n\nmodule "handler" {{\n  source = "./functions"\n}}\n'
    for name, text in parts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _terraform(folder: Path, command: str, *options: str) -> str:
    """Run Terraform without the AWS provider, which takes seconds to start; raises TerraformError."""
    done = subprocess.run(
        [executable(), command, "-no-color", *options], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TerraformError(done.stderr)
    return done.stdout


def test_the_same_values_change_nothing_that_is_remembered(tmp_path: Path) -> None:
    actions = plan(tmp_path, complete(), {})
    assert {address for address, action in actions.items() if action != ["no-op"]} == {"refusals", "queue[0]"}


@pytest.mark.parametrize(
    ("was_limited", "maximum", "action"),
    [
        (False, None, ["no-op"]),
        (False, 100, ["delete", "create"]),
        (True, 100, ["no-op"]),
        (True, None, ["delete", "create"]),
    ],
)
def test_numbers_of_members_count_from_the_plan_that_sets_a_limit(
    tmp_path: Path, *, was_limited: bool, maximum: int | None, action: list[str]
) -> None:
    state = complete()
    state[1] = resource("members_counted", [(None, [was_limited])])
    assert plan(tmp_path, state, {"maximum_room_members": maximum})["members_counted"] == action


def test_a_value_that_a_release_remembers_for_the_first_time_is_not_refused(tmp_path: Path) -> None:
    """Every state in use lacks it, so that a refusal would block every upgrade."""
    edits = {
        "  remembered = {\n": "  remembered = {\n    pace = var.pace\n",
        '      condition     = !local.refused["name"]\n': (
            '      condition     = !local.refused["name"] && !local.refused["pace"]\n'
        ),
        '["history", "kick",': '["history", "kick", "pace",',
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


def test_the_history_table_stays_until_each_function_has_left_it(tmp_path: Path) -> None:
    """An apply that emptied ``history_rooms`` and stopped may not have changed each function."""
    off = complete(unsettled=["history"])
    with pytest.raises(TerraformError, match=r"did not finish, so\s+functions"):
        plan(tmp_path / "off", off, {})
    plan(tmp_path / "on", off, {"history_rooms": ["*"]})


def test_the_presence_queue_stays_until_each_function_has_left_it(tmp_path: Path) -> None:
    """An apply that emptied ``presence_rooms`` and stopped may not have changed each function."""
    off = complete(unsettled=["presence"])
    with pytest.raises(TerraformError, match=r"did not finish, so\s+functions"):
        plan(tmp_path / "off", off, {})
    plan(tmp_path / "on", off, {"presence_rooms": ["*"]})


def test_an_apply_that_changed_shards_and_stopped_is_finished_first(tmp_path: Path) -> None:
    state = complete(unsettled=["shards_read"])
    assert plan(tmp_path / "finished", state, {})['settled["shards_read"]'] == ["create"]
    with pytest.raises(TerraformError, match="must not change in one apply"):
        plan(tmp_path / "raised", state, {"shards_per_room": 4})
