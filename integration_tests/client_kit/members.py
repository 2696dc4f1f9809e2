"""Connections of the fake server, and what a scenario chooses about the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection


@dataclass(eq=False)
class Member:
    """One connection."""

    connection: ServerConnection
    number: int
    rooms: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    is_open: bool = True
    is_expired: bool = False
    is_forgotten: bool = False
    knows_limits: bool = False
    close_code: int | None = None


@dataclass
class Attendance:
    """Who is in a room, as its members are told; names are None where they are too many."""

    version: int = 1
    names: list[str] | None = field(default_factory=lambda: ["alice", "bob"])
    count: int = 2

    def change(self, joined: list[str], left: list[str]) -> dict[str, Any]:
        """Begin the next version, and return what members are told of it."""
        self.version += 1
        self.names = sorted({*(self.names or [])} - {*left} | {*joined})
        self.count = len(self.names)
        return {"version": self.version, "joined": joined, "left": left, "count": self.count}

    def crowd(self, count: int) -> dict[str, Any]:
        """Begin the next version with too many names."""
        self.version, self.names, self.count = self.version + 1, None, count
        return {"version": self.version, "count": count}


@dataclass
class Settings:
    """What a scenario chooses about the server."""

    token: str = ""
    limits: dict[str, Any] = field(
        default_factory=lambda: {
            "heartbeat": 60_000,
            "heal": 3_000,
            "spread": 5_000,
            "frame": 32_768,
            "rooms": 20,
            "keeps": 3_600_000,
        }
    )
    page: int = 1_000
    batch: int = 100
    unkept: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    without_history: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)
