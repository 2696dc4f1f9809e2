"""``count``: tells a client how many members its room has.

The zip holds this file and Roomcast's package, which needs nothing else::

    cp -r handlers/roomcast terraform/examples/custom-routes/ && cd terraform/examples/custom-routes
    zip -r count.zip count.py roomcast
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from roomcast import events, fanout, protocol, rooms, serving, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return serving.serve_message(event, context, ENGINE, answer, ROOMS)


def answer(event: events.Event, deadline: float) -> str:
    """The answer to the caller."""
    caller = ROOMS.find(event.connection_id, deadline)
    if caller is None:
        raise protocol.Refusal("not_joined")
    room = min(caller.rooms)
    names, _ = ROOMS.roster(room, deadline).names()
    return json.dumps({"room": room, "members": len(names)})
