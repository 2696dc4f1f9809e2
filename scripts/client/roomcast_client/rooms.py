"""One room as a client sees it: its position, the numbers above it that have come, and what is asked again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from roomcast_client.values import Message, Recovered, Since

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast_client.errors import RoomcastError

MOST = 1_000
"""Messages that are held back, or kept before the first ``joined``, and ids that are remembered."""


@dataclass(slots=True)
class Ask:
    """An unanswered ``join`` or ``leave`` of a room.

    Attributes:
        position: The room's when it was asked.
        is_first: Whether the socket was not in the room.
        returns: Whether the application is owed a ``Recovered``.
        is_bare: Whether it asked for nothing that needs the right ``history``.
    """

    action: str
    id: str
    position: Since | None = None
    is_first: bool = True
    returns: bool = False
    is_bare: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """A number of a room's log, or a message without one; a slot without message is void."""

    epoch: str | None
    seq: int | None
    message: Message | None

    @property
    def key(self) -> object:
        """What no other message has."""
        return self.message.mid if self.message and self.message.mid else (self.epoch, self.seq)


@dataclass(eq=False)
class Room:
    """State of one room.

    Attributes:
        is_full: Whether the application has to take messages before it is given more.
        deliver: Gives a message to the application.
        tell: Tells the application whether everything was recovered.
    """

    name: str
    in_order: bool
    is_full: Callable[[], bool]
    deliver: Callable[[Message], None]
    tell: Callable[[Recovered], None]
    position: Since | None = None
    last: int = 0
    count: int = 0
    is_bare: bool = False
    history: bool | None = None
    top: int = 0
    returning: int | None = None
    again: bool = False
    probed: bool = False
    stalled: bool = False
    refused: RoomcastError | None = None
    was_joined: bool = False
    paused: bool = False
    pauses: int = 0
    growth: int = 0
    healed_at: float | None = None
    gap_open: bool = False
    held: dict[int, Slot | None] = field(default_factory=dict)
    early: deque[Slot] = field(default_factory=lambda: deque(maxlen=MOST))
    seen: dict[object, None] = field(default_factory=dict)
    before: tuple[str, int, set[int]] | None = None
    foreign: set[str] = field(default_factory=set)

    @property
    def has_gap(self) -> bool:
        """Whether a number is known to exist that has not come, and the application could take it."""
        return self.position is not None and self.top > self.position.seq and not self.stalled

    def take(self, slot: Slot) -> None:
        """Take a message or a void that came, new or not."""
        if self.position is None and self.history is None:
            self.early.append(slot)
        elif slot.seq is None or self.history is False or self.position is None:
            self._take_unlogged(slot)
        elif slot.epoch == self.position.epoch:
            self._keep(slot)
            self.advance()
        elif self.before and slot.epoch == self.before[0]:
            self._take_before(slot, *self.before)
        elif slot.epoch not in self.foreign:
            self.early.append(slot)
            self._join_for(slot.epoch or "")

    def _take_before(self, slot: Slot, _: str, position: int, above: set[int]) -> None:
        if slot.seq is not None and slot.seq > position and slot.seq not in above:
            above.add(slot.seq)
            self._hand_over(slot)

    def _take_unlogged(self, slot: Slot) -> None:
        old = self.before
        if slot.seq is not None:
            self.again |= not self.probed
            self.probed = True
            if old and slot.epoch == old[0] and (slot.seq <= old[1] or slot.seq in old[2]):
                return
        if slot.key in self.seen:
            return
        self.seen[slot.key] = None
        if len(self.seen) > MOST:
            del self.seen[next(iter(self.seen))]
        self._hand_over(slot)

    def _hand_over(self, slot: Slot) -> None:
        if slot.message is None:
            return
        if self.is_full():
            if not self.stalled:
                self.tell(Recovered(self.name, complete=False, reason="slow"))
            self.stalled = True
        self.deliver(slot.message)

    def _keep(self, slot: Slot) -> None:
        assert self.position is not None
        assert slot.seq is not None
        if slot.seq <= self.position.seq or slot.seq in self.held:
            return
        self.top = max(self.top, slot.seq)
        if slot.message is not None and not self.in_order:
            if self.is_full():
                self.stalled = True
                return
            self.deliver(slot.message)
        self.held[slot.seq] = slot if self.in_order and slot.message is not None else None

    def advance(self) -> None:
        """Hand over what follows on the position, as far as the application takes it."""
        assert self.position is not None
        while (seq := self.position.seq + 1) in self.held:
            slot = self.held[seq]
            if slot is not None and slot.message is not None:
                if self.is_full():
                    self.stalled = True
                    break
                self.deliver(slot.message)
            del self.held[seq]
            self.position = Since(self.position.epoch, seq)
        if self.in_order and len(self.held) > MOST:
            self.held.clear()
        if self.returning is not None and self.position.seq >= self.returning:
            self.returning = None
            self.tell(Recovered(self.name, complete=True))

    def resume(self) -> None:
        """Go on after the application has taken messages."""
        self.stalled = False
        if self.position is not None:
            self.advance()
            self.again |= self.has_gap

    def hear_of(self, epoch: str, seq: int) -> None:
        """Take the head of the room, as ``pong`` names it."""
        if self.position is not None and epoch == self.position.epoch:
            self.top = max(self.top, seq)
        elif epoch not in self.foreign:
            self._join_for(epoch)

    def _join_for(self, epoch: str) -> None:
        """Ask once because of another epoch; not for ever because of more and more of them."""
        if len(self.foreign) < MOST:
            self.foreign.add(epoch)
            self.again = True

    def answered(self, frame: dict[str, Any], ask: Ask | None) -> None:
        """Take a ``joined`` frame and the question that it answers; None if no answer is awaited."""
        epoch = self.position and self.position.epoch
        if ask is None or epoch != (ask.position and ask.position.epoch):
            return
        if "epoch" not in frame or "seq" not in frame:
            self._without_history(frame, ask)
        elif self.position is None:
            self._first(Since(frame["epoch"], frame["seq"]), frame, ask)
        elif frame.get("recovered") is False or frame["epoch"] != epoch:
            self._lost(Since(frame["epoch"], frame["seq"]), frame)
        else:
            self._replayed(frame, ask)
        self.last, self.history, self.is_bare = 0, "epoch" in frame, False

    def _without_history(self, frame: dict[str, Any], ask: Ask) -> None:
        if ask.returns or frame.get("recovered") is False:
            self.tell(Recovered(self.name, complete=False, reason=frame.get("reason", "no_history")))
        if self.position is not None:
            self.before = (self.position.epoch, self.position.seq, set())
        slots = [*(slot for slot in self.held.values() if slot), *self.early]
        self.position, self.history, self.returning, self.probed = None, False, None, not ask.is_first
        self.held.clear()
        self.early.clear()
        for slot in slots:
            self._take_unlogged(slot)

    def _first(self, position: Since, frame: dict[str, Any], ask: Ask) -> None:
        if ask.returns:
            self.tell(Recovered(self.name, complete=False, reason="no_history"))
        given = {seq for epoch, seq in (key for key in self.seen if isinstance(key, tuple)) if epoch == position.epoch}
        early = sorted((slot for slot in self.early if slot.seq is not None), key=lambda slot: slot.seq or 0)
        unlogged = [slot for slot in self.early if slot.seq is None]
        self._settle(position, frame, dict.fromkeys(seq for seq in given if seq > position.seq))
        fresh = [slot for slot in early if slot.epoch == position.epoch]
        below = {slot.seq: slot for slot in fresh if slot.seq is not None and slot.seq <= position.seq}
        self._hand_over_last(below, self.last)
        self.history = True
        for slot in [*unlogged, *fresh]:
            self.take(slot)
        self.advance()

    def _lost(self, position: Since, frame: dict[str, Any]) -> None:
        assert self.position is not None
        early, held = list(self.early), self.held
        if position.epoch != self.position.epoch:
            self.before, held = (self.position.epoch, self.position.seq, set(self.held)), {}
        elif frame.get("reason") == "ahead":
            held = {}
        else:
            position = max(position, self.position, key=lambda each: each.seq)
        self.returning = None
        self.tell(Recovered(self.name, complete=False, reason=frame.get("reason", "epoch_changed")))
        below = {seq: slot for seq, slot in held.items() if slot and seq <= position.seq}
        self._settle(position, frame, {seq: slot for seq, slot in held.items() if seq > position.seq})
        fresh = [slot for slot in early if slot.epoch == position.epoch]
        below |= {slot.seq: slot for slot in fresh if slot.seq and slot.seq <= position.seq}
        self._hand_over_last(below, self.last)
        for slot in fresh:
            self._keep(slot)
        self.advance()

    def _settle(self, position: Since, frame: dict[str, Any], held: dict[int, Slot | None]) -> None:
        self.position, self.held = position, held
        self.top = max(position.seq, frame.get("head", 0), *held) if held else max(position.seq, frame.get("head", 0))
        self.early.clear()
        self.foreign.clear()

    def _hand_over_last(self, below: dict[int, Slot], last: int) -> None:
        messages = [below[seq] for seq in sorted(below) if below[seq].message]
        for slot in messages[-last:] if last else ():
            self._hand_over(slot)

    def _replayed(self, frame: dict[str, Any], ask: Ask) -> None:
        assert self.position is not None
        assert ask.position is not None
        self.top = max(self.top, frame["seq"], frame.get("head", 0))
        self.foreign |= {slot.epoch or "" for slot in self.early}
        self.early.clear()
        if ask.returns:
            self.returning = max(frame["seq"], frame.get("head", 0))
        self.advance()
        # A page that brought nothing new is asked again later, as any gap.
        self.again |= bool(frame.get("more")) and self.position.seq > ask.position.seq and not self.stalled
