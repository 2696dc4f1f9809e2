"""``whoami``: tells the caller its connection id, its rooms and its identity, also after its token has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import events, fanout, frames, identity, protocol, rooms, serving, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return serving.serve_message(event, context, ENGINE, identify, ROOMS)


def identify(message: events.Event, deadline: float) -> str:
    """The answer to the caller."""
    caller = ROOMS.find(message.connection_id, deadline)
    client = identity.of(message, SETTINGS.authorization)
    if caller is None:
        raise protocol.Refusal(client.why_absent())
    names = sorted(caller.rooms)
    if not caller.is_v1:
        return protocol.whoami(caller.connection_id, names, client.subject)
    known = {"identity": client.subject} if client.subject else {}
    tie = frames.tie_of(message.body)
    limits = serving.limits_of(caller, SETTINGS)
    here = {"connectionId": caller.connection_id, "rooms": names, **known}
    return frames.answer("whoami", tie, **here, versions=[protocol.V1], limits=limits)
