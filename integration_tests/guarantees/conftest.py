"""A further instance of the root that tests may change, applied once per session: applying is the slowest step."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from integration_tests.conftest import show_during_test

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.targets.interface import Changeable, Target
    from scripts.local.aws import Aws

SECOND = f"second-{secrets.token_hex(3)}"
SECOND_SHARDS = 4


@pytest.fixture(scope="session")
def second(target: Target, request: pytest.FixtureRequest) -> Iterator[Changeable]:
    """A second instance beside the one under test, with another stage name and number of shards."""
    assert target.aws is not None
    show_during_test(request.config, "applying a second instance, which takes most of a minute")
    with target.deploy(SECOND, shards_per_room=SECOND_SHARDS, stage_name="other") as instance:
        yield instance
    assert names_of_second(target.aws) == [], "terraform destroy left something behind"


def names_of_second(aws: Aws) -> list[str]:
    """Return the names of the second instance's tables, APIs and functions."""
    tables = aws.dynamodb.list_tables()["TableNames"]
    apis = [api["Name"] for api in aws.apigatewayv2.get_apis()["Items"]]
    functions = [function["FunctionName"] for function in aws.functions.list_functions()["Functions"]]
    return [name for name in [*tables, *apis, *functions] if name.startswith(SECOND)]
