"""Saved queries."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from scripts.local.ministack.tests.apis import client

if TYPE_CHECKING:
    from collections.abc import Mapping


def described(logs: Any, prefix: str) -> list[Mapping[str, Any]]:
    """Return the queries with such names, as DescribeQueryDefinitions tells them, without time and id."""
    pages = [logs.describe_query_definitions(queryDefinitionNamePrefix=prefix, maxResults=2)]
    while "nextToken" in pages[-1]:
        token = pages[-1]["nextToken"]
        pages.append(logs.describe_query_definitions(queryDefinitionNamePrefix=prefix, maxResults=2, nextToken=token))
    assert [len(page["queryDefinitions"]) for page in pages[:-1]] == [2] * (len(pages) - 1)
    decided = ("lastModified", "queryDefinitionId")
    return [
        {key: value for key, value in each.items() if key not in decided}
        for page in pages
        for each in page["queryDefinitions"]
    ]


def test_a_saved_query_is_kept(corrected: str, plain: str) -> None:
    folder = f"probe-{secrets.token_hex(4)}"
    query: dict[str, Any] = {"logGroupNames": ["b", "a"], "queryString": "fields @message\n| limit 20"}
    logs = client("logs", corrected)
    ids = [logs.put_query_definition(name=f"{folder}/{name}", **query)["queryDefinitionId"] for name in ("c", "a", "b")]
    logs.put_query_definition(name=f"{folder}-other/a", queryString="limit 1")
    assert len({*ids}) == 3
    assert described(logs, f"{folder}/") == [{"name": f"{folder}/{name}", **query} for name in "abc"]
    assert described(logs, f"{folder}-other") == [{"name": f"{folder}-other/a", "queryString": "limit 1"}]

    answer = logs.put_query_definition(name=f"{folder}/d", queryDefinitionId=ids[0], queryString="limit 2")
    assert answer["queryDefinitionId"] == ids[0]
    assert logs.delete_query_definition(queryDefinitionId=ids[1])["success"]
    assert described(logs, f"{folder}/") == [
        {"name": f"{folder}/b", **query},
        {"name": f"{folder}/d", "queryString": "limit 2"},
    ]
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="does not exist"):
        logs.delete_query_definition(queryDefinitionId=ids[1])
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="does not exist"):
        logs.put_query_definition(name=f"{folder}/e", queryDefinitionId=ids[1], queryString="limit 2")

    with pytest.raises(ClientError, match="Unknown action"):
        client("logs", plain).put_query_definition(name=f"{folder}/a", **query)
