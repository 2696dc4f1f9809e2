"""``$default``: a message that no other route takes is answered with a documented error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import events, fanout, protocol, rooms, serving, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return serving.serve_message(event, context, ENGINE, refuse, ROOMS)


def refuse(message: events.Event, _deadline: float) -> None:
    """Say why the message cannot be served."""
    raise protocol.refuse_unroutable(message.body)
