"""The expressions of the table that stands in for DynamoDB's: true where DynamoDB's are, refused where it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.expressions import ExpressionError, attributes, holds

if TYPE_CHECKING:
    from collections.abc import Mapping

ITEM: Mapping[str, Mapping[str, Any]] = {
    "partition_key": {"S": "room#lobby#0"},
    "connected_at": {"N": "9"},
    "rooms": {"M": {"lobby": {"N": "0"}}},
}
VALUES = {":at": {"N": "10"}, ":text": {"S": "10"}}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("connected_at < :at", True),
        ("connected_at = :at", False),
        ("connected_at <= :at AND attribute_exists(partition_key)", True),
        ("attribute_not_exists(partition_key) OR connected_at = :at", False),
        ("NOT (connected_at > :at) AND NOT attribute_exists(expires_at)", True),
        ("expires_at < :at", False),
        ("expires_at <> :at", True),
        ("connected_at < :text", False),
        ("size(rooms) < :at", True),
        ("size(rooms) = :at OR connected_at = :at", False),
        ("size(halls) < :at", False),
        ("attribute_exists(rooms.lobby) AND attribute_not_exists(rooms.news)", True),
        ("attribute_not_exists(rooms.lobby)", False),
        ("attribute_not_exists(halls.lobby)", True),
    ],
)
def test_conditions(expression: str, expected: bool) -> None:
    used = {name: value for name, value in VALUES.items() if name in expression}

    assert holds(expression, used, ITEM) == expected


def test_what_is_not_there_exists_not() -> None:
    assert holds("attribute_not_exists(partition_key) OR connected_at = :at", {":at": {"N": "10"}}, None)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "connected_at",
        "connected_at < :other",
        "connected_at < :at)",
        "ttl < :at",
        "size(ttl) < :at",
        "attribute_exists(:at)",
        "a;b",
        ":at",
        " OR ".join(["connected_at < :at"] * 200),
    ],
)
def test_what_dynamodb_refuses(expression: str) -> None:
    with pytest.raises(ExpressionError):
        holds(expression, {":at": {"N": "10"}} if ":at" in expression else {}, ITEM)


@pytest.mark.parametrize(("room", "expected"), [("lobby", False), ("news", True)])
def test_an_entry_may_have_a_name(room: str, expected: bool) -> None:
    assert holds("attribute_not_exists(rooms.#room)", {}, ITEM, {"#room": room}) == expected
    with pytest.raises(ExpressionError, match="no name"):
        holds("attribute_not_exists(rooms.#room)", {}, ITEM)


def test_a_value_must_be_used() -> None:
    with pytest.raises(ExpressionError, match="does not use"):
        holds("attribute_exists(partition_key)", {":at": {"N": "10"}}, ITEM)


def test_projections() -> None:
    assert attributes("sort_key, connected_at") == {"sort_key", "connected_at"}
    with pytest.raises(ExpressionError):
        attributes("sort_key, ttl")
