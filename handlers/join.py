"""``join``: a client of ``roomcast.v1`` becomes a member of one room or of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import (
    changes,
    events,
    fanout,
    frames,
    headcount,
    history,
    identity,
    logged_rooms,
    protocol,
    rooms,
    serving,
    settings,
)
from roomcast.steps import drive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roomcast.members import Connection
    from roomcast.replay import Replay
    from roomcast.steps import Steps

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
HISTORY = history.History(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return serving.serve_message(event, context, ENGINE, join, ROOMS)


def join(event: events.Event, deadline: float) -> Sequence[str]:
    """Add the memberships, and answer for each room; errors of single rooms leave the others alone."""
    client = identity.of(event, SETTINGS.authorization)
    if client.is_expired:
        raise protocol.Refusal("token_expired")
    asked, faults = frames.parse_join(protocol.parse_object(event.body))
    if len(asked) == 1:
        serving.note_room(ROOMS, next(iter(asked)))
    allowed = {room: ask for room, ask in asked.items() if may_join(client, room, ask)}
    if not allowed and len(asked) == 1 and not faults:
        raise protocol.Refusal("not_allowed")
    caller = serving.v1_caller(ROOMS, event, client, deadline)
    errors = {**dict.fromkeys(asked.keys() - allowed.keys(), "not_allowed"), **faults}
    replays = admit(event, client, caller, allowed, errors, deadline)
    tie = frames.tie_of(event.body)
    watched = watched_by(client, allowed)
    answers = []
    # A client takes the limits from the first answer of its connection.
    limits = None if caller.version else serving.limits_of(caller, SETTINGS)
    for room in [*asked, *faults]:
        if room in errors:
            answers.append(frames.error(errors[room], event.request_id, {**tie, "room": room}))
        else:
            log = replays[room].fields if room in replays else None
            version = ROOMS.marks.versions.get(room) if room in watched else None
            answers.append(frames.joined(room, asked[room], tie, limits, log, version))
            limits = None
    return answers


def admit(  # noqa: PLR0913, PLR0917 - all parts of the request
    event: events.Event,
    client: identity.Identity,
    caller: Connection,
    allowed: Mapping[str, frames.Ask],
    errors: dict[str, str],
    deadline: float,
) -> Mapping[str, Replay]:
    """Write the memberships, and post what the logs have for the client; ``errors`` gets the rooms that fail."""
    with_token = [room for room in allowed if identity.token_end(event, client, room) is not None]

    def enter(known: Connection) -> Steps[Connection]:
        yield from ()
        known = known._replace(sees=watched_by(client, allowed))
        return enter_all(known, [*allowed], with_token, errors, deadline)

    def find() -> Steps[Connection | None]:
        yield from ()
        return ROOMS.find(event.connection_id, deadline)

    def may_post() -> Steps[bool]:
        yield from ()
        return serving.take_message(ROOMS, event, SETTINGS.messages_per_second, deadline)

    def post(text: str) -> Steps[bool]:
        yield from ()
        return serving.reply(ENGINE, event, text, deadline)

    logged = {room: ask for room, ask in allowed.items() if HISTORY.keeps(room) and client.may("history", room)}
    if not logged:
        drive(enter(caller))
        return {}
    visitor = logged_rooms.Visitor(enter, find, may_post, post)
    entered, replays = drive(logged_rooms.join(HISTORY, logged, visitor, caller, deadline))
    errors.update((room, "rate_limited") for room in logged if room in entered.rooms and room not in replays)
    return replays


def may_join(client: identity.Identity, room: str, ask: frames.Ask) -> bool:
    """Whether a client has the rights to join a room with this question."""
    return client.may("join", room) and (not ask.wants_history or client.may("history", room))


def watched_by(client: identity.Identity, rooms: Iterable[str]) -> set[str]:
    """The rooms of which a client may see who comes and goes."""
    return {room for room in rooms if client.may("presence", room) and ROOMS.marks.watches(room)}


def enter_all(
    caller: Connection, wanted: Sequence[str], with_token: Sequence[str], errors: dict[str, str], deadline: float
) -> Connection:
    """Write the memberships; gives the connection with its rooms, and puts rooms that are full into ``errors``."""
    # Memberships that need no token do not count once all do.
    without = [room for room in wanted if room not in with_token]
    maximum = SETTINGS.max_rooms_per_connection
    for room in wanted:
        errors.pop(room, None)
    for some, ends_at in ((with_token, caller.token_ends_at), (without, None)):
        # Where rooms may have so many members only, each may be full, and is joined by itself.
        for part in [[room] for room in some] if SETTINGS.maximum_room_members else [some]:
            try:
                caller = ROOMS.enter(caller._replace(token_ends_at=ends_at), part, maximum, deadline)
            except headcount.RoomFullError:
                errors[part[0]] = "room_full"
            except changes.GoneError:
                raise protocol.Refusal("reconnect") from None
            else:
                errors.update((room, "too_many_rooms") for room in part if room not in caller.rooms)
    return caller
