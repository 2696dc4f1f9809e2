"""Frames of ``roomcast.v1``: what comes is checked here once; frames of another form are ignored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeGuard

from roomcast_client.values import Message, Presence, Receipt

STRINGS = {"room", "epoch", "id", "mid", "from", "reason", "url", "code", "message", "requestId"}
NUMBERS = {"seq", "head", "at", "until", "within", "count", "version", "presence", "delivered", "gone", "failed"}
FLAGS = {"recovered", "more", "void", "replayed", "direct", "backend", "queued", "sending", "duplicate"}
OTHERS = {"limits": dict, "rooms": dict, "messages": list, "members": list, "joined": list, "left": list}
KINDS: dict[str, Any] = {
    **dict.fromkeys(STRINGS, str),
    **dict.fromkeys(NUMBERS, int),
    **dict.fromkeys(FLAGS, bool),
} | OTHERS
REQUIRED = {
    "message": {"data"},
    "messages": {"room", "epoch", "messages"},
    "joined": {"room"},
    "left": {"room"},
    "receipt": {"id"},
    "members": {"id", "members", "count"},
    "presence": {"room", "count"},
    "pong": {"rooms"},
    "error": {"code"},
    "kicked": set[str](),
    "reconnect": set[str](),
}
MOST_ROOMS = 40
"""Rooms in a ``ping``."""
HIGHEST = 2**53
"""Numbers of messages stay below it, so that JavaScript can hold them."""


def read(text: str | bytes) -> dict[str, Any] | None:
    """Return a frame whose known fields have their types; None for anything else."""
    try:
        frame = json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError):
        return None
    if not isinstance(frame, dict) or not isinstance(kind := frame.get("type"), str) or kind not in REQUIRED:
        return None
    frame = {name: value for name, value in frame.items() if value is not None or name == "data"}
    return frame if frame.keys() >= REQUIRED[kind] and _is_valid(frame) else None


def _whole(text: str) -> int | float:
    """Return a whole number; one with more digits than Python reads as an infinite one, as in JavaScript.

    A member may send it, and a frame that is not read would stay a gap in the room for ever.
    """
    try:
        return int(text)
    except ValueError:
        return float(text)


def _is_valid(frame: dict[str, Any]) -> bool:
    typed = all(isinstance(value, KINDS.get(name, object)) for name, value in frame.items() if name != "data")
    return typed and all(is_number(frame[name]) for name in NUMBERS & frame.keys())


def is_number(value: object) -> TypeGuard[int]:
    """Whether a value is a number of the protocol."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < HIGHEST


def slots(frame: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages and voids of a ``message`` or ``messages`` frame, each with room and epoch."""
    if frame["type"] == "message":
        return [frame] if ("seq" in frame) == ("epoch" in frame) else []
    head = {"room": frame["room"], "epoch": frame["epoch"], "replayed": True}
    kept = [{**item, **head} for item in frame["messages"] if isinstance(item, dict)]
    return [slot for slot in kept if "seq" in slot and ("data" in slot or "void" in slot) and _is_valid(slot)]


def message(slot: dict[str, Any], *, own: bool) -> Message | None:
    """Return the message in a slot; None for a void."""
    if slot.get("void"):
        return None
    names = ("id", "epoch", "seq", "mid", "replayed", "direct", "backend")
    more = {name: slot[name] for name in names if name in slot}
    return Message(slot.get("room", ""), slot.get("from", ""), slot.get("at", 0), slot["data"], own=own, **more)


def receipt(frame: dict[str, Any], room: str) -> Receipt:
    """Return the receipt in a ``receipt`` or in the sender's own ``message``."""
    names = ("epoch", "seq", "queued", "sending", "duplicate", "delivered", "gone", "failed")
    return Receipt(frame["id"], room, **{name: frame[name] for name in names if name in frame})


def presence(frame: dict[str, Any]) -> Presence:
    """Return the changes in a ``presence`` frame."""
    joined, left = (tuple(map(str, frame.get(name, ()))) for name in ("joined", "left"))
    return Presence(frame["room"], joined, left, frame["count"])


@dataclass(frozen=True, slots=True)
class Limits:
    """What the stage asks of its clients, within bounds. Times are seconds, sizes bytes."""

    heartbeat: float = 270.0
    heal: float = 3.0
    spread: float = 5.0
    frame: float = 131_072
    rooms: float = 20
    expires: float = 86_400.0

    @classmethod
    def read(cls, limits: dict[str, Any]) -> Limits:
        """Read ``limits`` of a ``joined`` frame; what is missing or no number keeps its default."""
        bounds = {"heartbeat": (30.0, 480.0), "heal": (0.5, 60.0), "spread": (0.0, 600.0), "expires": (60.0, 86_400.0)}
        sizes = {"frame": (1_024, 131_072), "rooms": (1, 40)}
        found = {}
        for name, (low, high) in {**bounds, **sizes}.items():
            value = limits.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                unit = 1000 if name in bounds else 1
                # Within bounds first: a whole number may be larger than any that can be divided.
                found[name] = min(high * unit, max(low * unit, value)) / unit
        return cls(**found)
