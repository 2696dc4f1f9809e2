"""Frames of a client, and what no client may send."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

ACTIONS = {"join", "leave", "sendmessage", "ping", "who", "whoami"}
UNANSWERED = 34.0
"""Seconds within which a room may not be asked for again."""


@dataclass
class Wire:
    """All frames of a client in a scenario."""

    frames: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def take(self, text: str, member: int, now: float, most_rooms: int) -> dict[str, Any] | None:
        """Note a frame, and what is wrong about it; None for one that no server could read."""
        try:
            frame = json.loads(text)
        except ValueError:
            frame = None
        if not isinstance(frame, dict) or frame.get("action") not in ACTIONS:
            self.errors.append(f"no action: {text[:80]}")
            return None
        frame |= {"_at": now, "_member": member, "_answered": set()}
        self.frames.append(frame)
        self._check(frame, most_rooms)
        return frame

    def answered(self, frame: dict[str, Any], room: str) -> None:
        """Note that a join or leave of a room is answered."""
        frame["_answered"].add(room)

    def _check(self, frame: dict[str, Any], most_rooms: int) -> None:
        action, number, rooms = frame["action"], frame.get("id"), rooms_of(frame)
        least = 16 if action == "sendmessage" else 1
        if number is not None and not (isinstance(number, str) and least <= len(number) <= 64):
            self.errors.append(f"id {number!r}")
        if action == "sendmessage" and not (rooms and "data" in frame):
            self.errors.append("a message without room or data")
        if action == "join" and not 1 <= len(rooms) <= most_rooms:
            self.errors.append(f"a join of {len(rooms)} rooms")
        if action == "ping" and len(rooms) > 40:
            self.errors.append(f"a ping of {len(rooms)} rooms")
        if action in {"join", "leave"}:
            self.errors += [f"{room} asked for while unanswered" for room in rooms if self._is_early(frame, room)]

    def _is_early(self, frame: dict[str, Any], room: str) -> bool:
        return any(
            other["_member"] == frame["_member"] and room in rooms_of(other) and room not in other["_answered"]
            for other in self.frames[:-1]
            if other["action"] in {"join", "leave"} and frame["_at"] - other["_at"] < UNANSWERED
        )


def rooms_of(frame: dict[str, Any]) -> list[str]:
    """Return the rooms that a frame names."""
    return list(frame.get("rooms") or ([frame["room"]] if "room" in frame else []))
