"""Runs handlers of one release over its own fakes, in a process of its own: ``python one_release.py FOLDER``.

Standard input is a JSON object: ``items`` of the table, ids of ``gone`` connections, and ``steps``, each with a
``function`` and its ``event``.
Standard output is one with the ``items`` at the end, the ``answers``, the ``posts`` to connections, and the bodies that
were ``put`` into the queue.
"""

from __future__ import annotations

import importlib
import json
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType


class TakingQueue:
    """Takes every message and remembers its body."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def call(self, operation: str, parameters: Mapping[str, Any], _deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        if operation == "SendMessageBatch":
            self.bodies += [entry["MessageBody"] for entry in parameters["Entries"]]
        elif operation == "SendMessage":
            self.bodies.append(parameters["MessageBody"])
        return {}


def run(order: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out the steps."""
    fakes = importlib.import_module("tests.fakes")
    table, connections, queue = fakes.FakeTable(), fakes.FakeConnections(), TakingQueue()
    connections.gone.update(order["gone"])
    table.items = {(item["partition_key"]["S"], item["sort_key"]["S"]): item for item in order["items"]}
    functions = {
        name: wired(importlib.import_module(name), table, connections, queue)
        for name in {step["function"] for step in order["steps"]}
    }
    answers = [functions[step["function"]].handler(step["event"], fakes.FakeContext()) for step in order["steps"]]
    return {"items": [*table.items.values()], "answers": answers, "posts": connections.posts, "put": queue.bodies}


def wired(function: ModuleType, table: object, connections: object, queue: TakingQueue) -> Any:  # noqa: ANN401 - a handler
    """Put fakes in place of a function's neighbours; earlier releases have other names for some."""
    place: Any = function
    delivery = importlib.import_module("roomcast.delivery")
    setattr(place, "ENGINE" if hasattr(place, "ENGINE") else "CONNECTIONS", connections)
    if hasattr(place, "ROOMS"):
        place.ROOMS._database = table  # noqa: SLF001 - there is no other way in
        if (marks := getattr(place.ROOMS, "marks", None)) is not None:
            marks._database, marks._queue = table, queue  # noqa: SLF001
    if hasattr(place, "DELIVERY"):
        place.DELIVERY = delivery.Delivery(connections, place.ROOMS)
    if getattr(place, "QUEUE", None) is not None:
        place.QUEUE._service = queue  # noqa: SLF001
    return place


if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1]]
    given = json.load(sys.stdin)
    with redirect_stdout(sys.stderr):  # the handlers' log lines
        result = run(given)
    json.dump(result, sys.stdout)
