"""Members of a room, asked for beside its sender: their reads begin before it is known that the sender is a member.

A function that has served a sender before knows its rooms. The two answers of the table then take as long as one.
Messages are posted to none of these members unless the sender is still in the room.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from roomcast import frames
from roomcast.protocol import V1

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roomcast.members import Connection
    from roomcast.recipients import Pages, Recipient
    from roomcast.steps import Begun, Wait

    Read = Begun[Wait | list[Recipient], None]

AT_ONCE = 16
"""Partitions whose reads begin early: as many as the engine reads side by side."""

NO_READS: Mapping[int, Read] = MappingProxyType({})

MAXIMUM_SENDERS = 10_000
"""Senders whose rooms are remembered: some 2 MB, and more than one execution environment serves at a time."""


class Senders:
    """The rooms of clients that have sent a message lately."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, frozenset[str]]] = {}

    def note(self, sender: Connection) -> None:
        """Remember a client that has been read."""
        if len(self._seen) >= MAXIMUM_SENDERS:
            self._seen.clear()
        self._seen[sender.connection_id] = (sender.protocol, frozenset(sender.rooms))

    def room_of(self, connection_id: str, body: str) -> str | None:
        """The room that a message is probably for; ``None`` if that is not known, or it may be for one member.

        Args:
            connection_id: Id of the sender's connection.
            body: Its message, not read yet.
        """
        spoken, rooms = self._seen.get(connection_id, ("", frozenset()))
        if not rooms or '"to"' in body:
            return None
        if spoken == V1:
            named = frames.tie_of(body, with_room=True).get("room")
            return named if named in rooms else None
        return next(iter(rooms))


class Reads:
    """The reads of a room that have begun.

    Args:
        room: Name of the room.
        reads: Each partition's, by its number.
    """

    def __init__(self, room: str = "", reads: Mapping[int, Read] = NO_READS) -> None:
        self.room = room
        self._reads = reads

    def __iter__(self) -> Iterator[Read]:
        """Yield each read."""
        yield from self._reads.values()

    def __enter__(self) -> Reads:
        """Nothing: the reads have begun."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close those that were not needed."""
        for read in self:
            read.__exit__()

    def of(self, room: str, shard: int) -> Pages | None:
        """The pages of a partition; ``None`` if no read of it has begun."""
        return self._reads[shard].rest() if room == self.room and shard in self._reads else None
