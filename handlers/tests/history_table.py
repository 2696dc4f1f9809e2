"""An in-memory history table that carries out one step at a time, and clocks that a test moves."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from roomcast import aws_json
from roomcast.history_table import REFUSED
from roomcast.steps import Wait
from tests.expressions import holds, updated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from roomcast.steps import Steps

STEP = Wait(None, 0.0)
"""Stands for a call: another process may go on before it is carried out, and after it."""

NAME = "history"


class Died(Exception):  # noqa: N818 - what befalls a worker
    """The worker is gone."""


class HistoryTable:
    """Knows the operations and expressions of ``history_table``.

    Attributes:
        items: All items, by their keys.
        calls: Operations and parameters.
        fate: Decides, before and after each call, whether the worker dies or the answer is lost; raises ``Died``, or
            returns whether the call is carried out a second time, as after a lost answer.
    """

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.fate: Callable[[str], bool] = lambda _: False
        self._operations = {
            "GetItem": self._get,
            "PutItem": self._put,
            "UpdateItem": self._update,
            "BatchGetItem": self._get_all,
            "Query": self._query,
        }

    def steps(self, operation: str, parameters: Mapping[str, Any], _deadline: float) -> Steps[dict[str, Any]]:
        """As ``aws_json.Service.steps``."""
        yield STEP
        self.calls.append((operation, parameters))
        is_lost = self.fate(operation)
        if is_lost:
            with contextlib.suppress(aws_json.ServiceError):
                self._operations[operation](parameters)
            yield STEP
        answer = self._operations[operation](parameters)
        self.fate("")
        return answer

    def slots(self) -> dict[tuple[str, int], Mapping[str, Any]]:
        """Messages and voids, by log and number."""
        return {(key, int(sort)): item for (key, sort), item in self.items.items() if key.startswith("log#")}

    def _get(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert parameters["TableName"] == NAME
        assert parameters["ConsistentRead"]
        item = self.items.get(_key(parameters["Key"]))
        return {"Item": item} if item else {}

    def _get_all(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        [(name, request)] = parameters["RequestItems"].items()
        assert name == NAME
        assert 1 <= len(request["Keys"]) <= 100
        found = [self.items[_key(key)] for key in request["Keys"] if _key(key) in self.items]
        return {"Responses": {NAME: found}, "UnprocessedKeys": {}}

    def _query(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert parameters["TableName"] == NAME
        assert parameters["ConsistentRead"]
        assert parameters["KeyConditionExpression"] == "partition_key = :log AND sort_key BETWEEN :low AND :high"
        log, low, high = (parameters["ExpressionAttributeValues"][f":{name}"]["S"] for name in ("log", "low", "high"))
        assert low <= high, "DynamoDB refuses such a range"
        is_forward = parameters["ScanIndexForward"]
        keys = sorted((key for key in self.items if key[0] == log and low <= key[1] <= high), reverse=not is_forward)
        if start := parameters.get("ExclusiveStartKey"):
            keys = [key for key in keys if (key > _key(start)) == is_forward and key != _key(start)]
        page = keys[: parameters["Limit"]]
        answer: dict[str, Any] = {"Items": [self.items[key] for key in page]}
        if len(page) == parameters["Limit"]:
            answer["LastEvaluatedKey"] = {"partition_key": {"S": page[-1][0]}, "sort_key": {"S": page[-1][1]}}
        return answer

    def _put(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self._check(parameters, _key(parameters["Item"]))
        self.items[_key(parameters["Item"])] = dict(parameters["Item"])
        return {}

    def _update(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        key = _key(parameters["Key"])
        self._check(parameters, key)
        expression, names = parameters["UpdateExpression"], parameters.get("ExpressionAttributeNames", {})
        given = parameters["ExpressionAttributeValues"]
        item = updated(expression, given, self.items.get(key, parameters["Key"]), names)
        self.items[key] = item
        return {"Attributes": item}

    def _check(self, parameters: Mapping[str, Any], key: tuple[str, str]) -> None:
        assert parameters["TableName"] == NAME
        condition = parameters["ConditionExpression"]
        given = parameters.get("ExpressionAttributeValues", {})
        text = condition + parameters.get("UpdateExpression", "")
        assert all(name in text for name in (*given, *parameters.get("ExpressionAttributeNames", {}))), "not used"
        values = {name: value for name, value in given.items() if name in condition}
        item = self.items.get(key)
        if not holds(condition, values, item, parameters.get("ExpressionAttributeNames", {})):
            assert parameters["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
            raise aws_json.ServiceError("", REFUSED, {"Item": item} if item else {}, transient=False)


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["partition_key"]["S"], item["sort_key"]["S"]


def copied(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item that a test may change."""
    copy: dict[str, Any] = json.loads(json.dumps(item))
    return copy
