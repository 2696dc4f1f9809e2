"""A second instance of the root, which tests may change; applied once, because that takes the longest of all."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.targets.aws import Aws
    from integration_tests.targets.interface import Changeable, Target

SECOND = f"second-{secrets.token_hex(3)}"
SECOND_SHARDS = 4


@pytest.fixture(scope="session")
def second(target: Target) -> Iterator[Changeable]:
    """Another instance beside the one under test, with a stage name and a number of shards of its own."""
    assert target.aws is not None
    with target.deploy(SECOND, shards_per_room=SECOND_SHARDS, stage_name="other") as instance:
        yield instance
    assert names_of_second(target.aws) == [], "terraform destroy left something behind"


def names_of_second(aws: Aws) -> list[str]:
    """Return the names of the second instance's tables, APIs and functions that exist."""
    tables = aws.dynamodb.list_tables()["TableNames"]
    apis = [api["Name"] for api in aws.apigatewayv2.get_apis()["Items"]]
    functions = [function["FunctionName"] for function in aws.functions.list_functions()["Functions"]]
    return [name for name in [*tables, *apis, *functions] if name.startswith(SECOND)]
