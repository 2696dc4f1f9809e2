"""Each option of the root that names a key or a boundary reaches every object of its type in some run of the tests.

`python -m scripts.terraform check` compares the runs with the table that is read here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from scripts.asked_of_aws import function_objects, runs, table
from scripts.asked_of_aws.functions import OWN
from scripts.hcl import read_blocks
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIGURATION = REPOSITORY / "terraform"
OF_TYPE = {
    "environment_kms_key_arn": "aws_lambda_function",
    "log_kms_key_arn": "aws_cloudwatch_log_group",
    "permissions_boundary_arn": "aws_iam_role",
    "queue_kms_key_arn": "aws_sqs_queue",
    "table_kms_key_arn": "aws_dynamodb_table",
}
"""The type of the objects that an option is for."""
GIVEN = re.compile(rf'\b({"|".join(OF_TYPE)})\s+= "([^"]+)"')
SETTING = re.compile(r"^\s*(?:kms_\w+|permissions_boundary)\s+= ", re.MULTILINE)


@pytest.fixture(autouse=True)
def zips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zips without content, of which the table tells the digests."""
    for handler in OWN:
        (tmp_path / f"{handler}.zip").touch()
    monkeypatch.setattr(function_objects, "ZIPS", tmp_path)


def values(settings: Any) -> Iterator[object]:
    """Yield all values of an object, those of nested blocks, too."""
    if isinstance(settings, (dict, list)):
        for each in settings.values() if isinstance(settings, dict) else settings:
            yield from values(each)
    else:
        yield settings


@pytest.mark.parametrize("option", OF_TYPE)
def test_an_option_reaches_every_object_of_its_type(option: str) -> None:
    given = dict(GIVEN.findall((CONFIGURATION / "tests/whole/whole.tftest.hcl").read_text(encoding="utf-8")))
    made = [
        (address, given[option] in values(settings))
        for run in runs.RUNS.values()
        for address, settings in table.table(run, {}).items()
        if f".{OF_TYPE[option]}." in address and ".data." not in address
    ]

    assert {address for address, _ in made} == {address for address, is_reached in made if is_reached} != set()


def test_no_option_and_no_type_is_left_out() -> None:
    options = {block.labels[0] for block in read_blocks(CONFIGURATION / "variables.tf")}
    types = {
        block.labels[0]
        for file in (CONFIGURATION / "modules").glob("*/*.tf")
        for block in read_blocks(file)
        if block.kind == "resource" and SETTING.search(block.text)
    }

    assert {name for name in options if name.endswith(("_kms_key_arn", "_boundary_arn"))} == OF_TYPE.keys()
    assert types == {*OF_TYPE.values()}
