"""Runs handlers of one release over its own fakes, in a process of its own: ``python one_release.py FOLDER``.

Standard input is a JSON object: ``items`` of the table, those of the ``history`` table, ids of ``gone`` connections and
of those whose posts are ``failing``, operations of the table that are ``broken``, and ``steps``, each a ``function``
and its ``event``.
Standard output is one with the ``items`` at the end, the ``answers``, what was ``heard`` after each step, the ``posts``
to connections, and the bodies that were ``put`` into the queue. A connection that is closed hears ``CLOSED``.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

CLOSED = "(closed)"


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
    table, connections, queue, closer = (
        fakes.FakeTable(),
        fakes.FakeConnections(),
        TakingQueue(),
        fakes.FakeConnections(),
    )
    for each in (connections, closer):
        each.gone.update(order["gone"])
    connections.failing.update(order.get("failing", ()))
    table.items = {key_of(item): item for item in order["items"]}
    table.failing.update(order.get("broken", ()))
    kept = history(order.get("history", ()))
    functions = {
        name: wired(importlib.import_module(name), table, connections, queue, closer, kept)
        for name in {step["function"] for step in order["steps"]}
    }
    answers, heard = [], []
    for step in order["steps"]:
        posts, closes = len(connections.posts), len(closer.posts)
        answers.append(functions[step["function"]].handler(step["event"], fakes.FakeContext()))
        heard.append([*connections.posts[posts:], *((client, CLOSED) for client, _ in closer.posts[closes:])])
    result = {"items": [*table.items.values()], "answers": answers, "heard": heard}
    return {**result, "posts": connections.posts, "put": queue.bodies}


def key_of(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return the key of an item."""
    return item["partition_key"]["S"], item["sort_key"]["S"]


def history(items: Iterable[Mapping[str, Any]]) -> object:
    """Return a history table; ``None`` in a release without one."""
    if importlib.util.find_spec("tests.history_table") is None:
        return None
    table = importlib.import_module("tests.history_table").HistoryTable()
    table.items = {key_of(item): item for item in items}
    return table


def wired(  # noqa: PLR0917 - all neighbours
    function: ModuleType, table: object, connections: object, queue: TakingQueue, closer: object, kept: object
) -> Any:  # noqa: ANN401 - a handler
    """Put fakes in place of a function's neighbours; earlier releases have other names for some."""
    place: Any = function
    delivery = importlib.import_module("roomcast.delivery")
    setattr(place, "ENGINE" if hasattr(place, "ENGINE") else "CONNECTIONS", connections)
    if hasattr(place, "ROOMS"):
        place.ROOMS._database = table  # noqa: SLF001 - there is no other way in
        if (marks := getattr(place.ROOMS, "marks", None)) is not None:
            marks._database, marks._queue = table, queue  # noqa: SLF001
    if hasattr(place, "CLOSER"):
        place.CLOSER = closer
    if hasattr(place, "HISTORY"):
        place.HISTORY._table._database = kept  # noqa: SLF001
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
