"""How messages, states and errors look: as lines for people, or as JSON."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import fields as dataclass_fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from roomcast_client import Connecting, Kicked, Left, Open, Presence, Recovered, Refused, RoomcastError, Waiting

from roomcast_cli.output import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast_client import Event, Json, Message

COLOURS = ("31", "32", "33", "34", "35", "36")
MOST_NAMES = 10
"""Of those who came or went, in one line."""


def text_of(data: Json) -> str:
    """Return what is shown of a message: its text, else its JSON."""
    if isinstance(data, dict) and isinstance(data.get("text"), str):
        data = data["text"]
    return visible(data if isinstance(data, str) else json.dumps(data, ensure_ascii=False))


def line_of(message: Message, *, on_terminal: bool, in_colour: bool) -> str:
    """Return a message as a line: on a terminal with the time, and in the colour of its author."""
    name = visible(message.sender) or "-"
    shown = f"\x1b[{COLOURS[zlib.crc32(name.encode()) % len(COLOURS)]}m{name}\x1b[0m" if in_colour else name
    mine = " (you)" if message.own and on_terminal else ""
    clock = f"{moment(message.at).astimezone():%H:%M} " if on_terminal else ""
    return f"{clock}{shown}{mine}: {text_of(message.data)}"


def moment(milliseconds: int) -> datetime:
    """Return a point in time; the earliest one for a number that is none."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def rfc3339(milliseconds: int) -> str:
    """Return a point in time as text."""
    return moment(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_of(message: Message) -> str:
    """Return a message as one line of JSON, in ASCII."""
    # Not asdict, which goes into the data, and twice as deep.
    given = {each.name: getattr(message, each.name) for each in dataclass_fields(message)}
    fields = {name: value for name, value in given.items() if value is not None}
    return json.dumps({"v": 1, **fields, "data": _finite(message.data), "at": rfc3339(message.at)})


def _finite(data: Json) -> Json:
    """Return data with null for numbers that Python cannot hold, and would print as no JSON."""
    if isinstance(data, dict):
        return {name: _finite(each) for name, each in data.items()}
    if isinstance(data, list):
        return [_finite(each) for each in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def sentence(event: Event) -> str | None:
    """Return what people are told about an event; None for nothing."""
    if isinstance(event, Connecting | Open):
        return "connected" if isinstance(event, Open) else "connecting ..."
    if isinstance(event, Waiting):
        return f"no connection ({event.reason}), next attempt in {event.retry_in:.0f} s"
    if isinstance(event, Recovered):
        return None if event.complete else f"messages may be missing here: {event.reason}"
    if isinstance(event, Left | Kicked):
        until = f" until {rfc3339(event.until)}" if event.until else ""
        return f"removed{until}{f': {visible(event.reason)}' if event.reason else ''}"
    if isinstance(event, Presence):
        return _comings(event)
    return visible(str(event)) if isinstance(event, Refused) or _is_error(event) else None


def _comings(event: Presence) -> str:
    """Return who came and went; where all are new to the client, who is there."""
    is_first = len(event.joined) == event.count and not event.left
    told = [("here" if is_first else "came", event.joined), ("left", event.left)]
    parts = [f"{verb}: {_names(names)}" for verb, names in told if names]
    return "; ".join([*parts, *([] if is_first and parts else [f"{event.count:,} here"])])


def _names(names: Sequence[str]) -> str:
    more = [f"{len(names) - MOST_NAMES:,} more"] if len(names) > MOST_NAMES else []
    return ", ".join([*map(visible, names[:MOST_NAMES]), *more])


def facts(event: Event) -> dict[str, Any] | None:
    """Return an event for JSON; None for one that tells nothing."""
    if isinstance(event, Recovered):
        return {"recovered": event.complete, "room": event.room, "reason": event.reason}
    if isinstance(event, Left):
        return {"left": event.room, "reason": event.reason, "until": event.until}
    if isinstance(event, Presence):
        return {"presence": event.room, "joined": event.joined, "left": event.left, "count": event.count}
    if _is_error(event):
        assert isinstance(event, RoomcastError)
        return {"error": event.code, "message": str(event), "request_id": event.request_id}
    if (name := getattr(event, "name", None)) is None:
        return None
    more = ("attempt", "retry_in", "reason", "until", "status")
    return {"state": name, **{each: getattr(event, each) for each in more if hasattr(event, each)}}


def _is_error(event: Event) -> bool:
    return isinstance(event, RoomcastError) and not hasattr(event, "name")
