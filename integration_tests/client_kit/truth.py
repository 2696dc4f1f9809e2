"""What rooms hold, and what a client must therefore have handed over in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Key = tuple[str, int]
"""Epoch and number."""


@dataclass
class Life:
    """One life of a room's log: numbers from 1; one without an item is a hole, or has expired."""

    epoch: str
    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    holes: set[int] = field(default_factory=set)
    head: int = 0
    floor: int = 0
    undone: set[Key] = field(default_factory=set)

    def undo(self, to: int) -> None:
        """Take back what stands above a number, as a restored backup does."""
        self.undone |= {(self.epoch, seq) for seq in self.items if seq > to}
        self.items = {seq: item for seq, item in self.items.items() if seq <= to}
        self.head = to


@dataclass
class Log:
    """A room.

    Attributes:
        is_kept: Whether it has history.
        lives: All lives; the last one is the present.
        began_at: The client's first position, which nobody owes it anything below.
        given_up: Numbers that the server told the client to be lost: epoch, above, up to.
    """

    name: str
    is_kept: bool = True
    lives: list[Life] = field(default_factory=list)
    began_at: Key | None = None
    given_up: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def life(self) -> Life:
        """The present life."""
        if not self.lives:
            self.begin()
        return self.lives[-1]

    def begin(self) -> None:
        """Begin a new life."""
        self.lives.append(Life(f"{self.name}-{len(self.lives) + 1}"))

    def put(self, how: str | None = None, **item: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a message
        """Take a number and store a message, a void or nothing under it; returns what is stored."""
        life = self.life
        life.head += 1
        if how == "hole":
            life.holes.add(life.head)
            return {}
        life.items[life.head] = {"seq": life.head, "void": True} if how == "void" else {"seq": life.head, **item}
        return life.items[life.head]

    def seal(self) -> None:
        """Make holes void."""
        life = self.life
        life.items |= {hole: {"seq": hole, "void": True} for hole in life.holes}
        life.holes.clear()

    def expire(self, upto: int) -> None:
        """Let messages up to a number expire."""
        self.life.floor = max(self.life.floor, upto)

    def between(self, low: int, high: int) -> list[dict[str, Any]]:
        """Return what is present above one number up to another."""
        life = self.life
        return [dict(life.items[seq]) for seq in range(max(low, life.floor) + 1, high + 1) if seq in life.items]

    def lost_since(self, since: dict[str, Any]) -> str | None:
        """Return why a position cannot be recovered from, if it cannot."""
        life, seq = self.life, since["seq"]
        if since["epoch"] != life.epoch:
            return "epoch_changed"
        if seq > life.head:
            return "ahead"
        if life.head - seq > 10_000:
            return "too_many"
        return "too_old" if seq < life.floor else None

    def give_up(self, since: dict[str, Any]) -> None:
        """Note what a client may miss from now on."""
        life = self.life
        low = since["seq"] if since["epoch"] == life.epoch else 0
        self.given_up.append((life.epoch, min(low, life.head), life.head))

    def owed(self) -> tuple[list[Key], set[Key]]:
        """Return the messages that the client must have handed over, and those that it may have."""
        must, may = [], set[Key]()
        for life in self.lives:
            may |= life.undone
            for seq in (seq for seq, item in life.items.items() if not item.get("void")):
                given_up = any(life.epoch == epoch and low < seq <= high for epoch, low, high in self.given_up)
                before = self.began_at is None or life.epoch != self.began_at[0] or seq <= self.began_at[1]
                if life is not self.life or given_up or (before and len(self.lives) == 1):
                    may.add((life.epoch, seq))
                else:
                    must.append((life.epoch, seq))
        return must, may
