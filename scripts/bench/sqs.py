"""A server in place of Amazon SQS: keeps the messages that it was sent until the benchmark takes them."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

from scripts.bench.json_server import JsonServer, UnknownError, dump
from scripts.bench.server import run


class Queue(JsonServer):
    """Answers calls that send messages."""

    def __init__(self, certificate: str) -> None:
        super().__init__(certificate)
        self._sequence = itertools.count(1)
        self._messages: list[dict[str, Any]] = []

    def take(self) -> dict[str, Any]:
        """Return the figures, and the messages sent since the last call."""
        figures = {**super().take(), "messages": self._messages}
        self._messages = []
        return figures

    def call(self, operation: str, body: bytes, arrived_at: float) -> tuple[bytes, float]:
        """Keep the messages."""
        request = json.loads(body)
        if operation == "SendMessageBatch":
            return dump({"Successful": [self._put(entry, arrived_at) for entry in request["Entries"]]}), self.delay
        if operation == "SendMessage":
            return dump(self._put(request, arrived_at)), self.delay
        raise UnknownError("the operation")

    def _put(self, entry: dict[str, Any], arrived_at: float) -> dict[str, Any]:
        number = next(self._sequence)
        message = {
            "id": f"message-{number}",
            "sequence": f"{number:020}",
            "body": entry["MessageBody"],
            "group": entry.get("MessageGroupId", ""),
            "due_at": arrived_at + entry.get("DelaySeconds", 0),
        }
        self._messages.append(message)
        digest = hashlib.md5(entry["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        answer = {"MessageId": message["id"], "MD5OfMessageBody": digest}
        return {**answer, "Id": entry["Id"]} if "Id" in entry else answer


if __name__ == "__main__":
    run(Queue)
