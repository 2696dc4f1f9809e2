"""The server in place of DynamoDB, with the history table that the handlers' tests use."""

from __future__ import annotations

import json
from typing import Any

from roomcast.aws_json import ServiceError
from roomcast.steps import drive
from tests.history_table import NAME, HistoryTable

from scripts.bench.json_server import RefusedError, UnknownError, dump
from scripts.bench.server import run
from scripts.bench.table import Table

READS = {"GetItem", "Query"}


class KeepingTable(Table):
    """Answers calls to both tables."""

    def __init__(self, certificate: str) -> None:
        super().__init__(certificate)
        self._history = HistoryTable()

    def configure(self, **settings: Any) -> None:  # noqa: ANN401 - each setting has its own type
        """Set the attributes, and delete all items beside the rooms'."""
        super().configure(**settings)
        self._history = HistoryTable()

    def call(self, operation: str, body: bytes, arrived_at: float) -> tuple[bytes, float]:
        """Read or write."""
        request = json.loads(body)
        if request.get("TableName") != NAME:
            return super().call(operation, body, arrived_at)
        delay = self.delay if operation in READS else self.write_delay
        self._history.calls.clear()
        try:
            return dump(drive(self._history.steps(operation, request, 0.0))), delay
        except ServiceError as error:
            refusal = {"__type": f"com.amazonaws.dynamodb#{error.code}", **error.details}
            raise RefusedError(dump(refusal), delay) from error
        except AssertionError as error:
            raise UnknownError(str(error)) from error


if __name__ == "__main__":
    run(KeepingTable)
