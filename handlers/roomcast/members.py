"""Members of a room, read when they are asked for: one by one, or shards side by side in the engine's loop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast import steps
from roomcast.protocol import TEXT, V1
from roomcast.recipients import Recipient, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from roomcast.recipients import Pages


class Connection(NamedTuple):
    """A connection, and the rooms that it is in.

    Attributes:
        connection_id: Opaque id that API Gateway gave it.
        connected_at: When it was made, epoch milliseconds.
        rooms: Its rooms, and which of each room's partitions holds its membership.
        version: How often its rooms have changed since the handshake.
        expires_at: When its items end, in seconds since 1970; 0 where nothing depends on it.
        token_ends_at: When the token of its handshake has expired, in seconds since 1970; ``None`` without a token.
        protocol: Name of its wire protocol.
        subject: Name of its client, which other members see; empty where there is none.
        sees: Rooms that tell it of their presence, once it is a member.
        is_listed: Whether an item lists it among the connections of its client.
    """

    connection_id: str
    connected_at: int
    rooms: Mapping[str, int]
    version: int = 0
    expires_at: int = 0
    token_ends_at: int | None = None
    protocol: str = TEXT
    subject: str = ""
    sees: Collection[str] = ()
    is_listed: bool = False

    @property
    def items(self) -> int:
        """How many items of the table it has."""
        return 1 + len(self.rooms) + self.is_listed

    @property
    def has_ended(self) -> bool:
        """Whether its items count no longer; time to live deletes them later."""
        return self.expires_at <= time.time()

    @property
    def is_v1(self) -> bool:
        """Whether it speaks ``roomcast.v1``."""
        return self.protocol == V1

    def recipient(self, room: str) -> Recipient:
        """The connection as the fan-out engine addresses it in one of its rooms."""
        return Recipient(self.connection_id, self.connected_at, self.rooms[room], self.protocol)


class Members(Source):
    """Members of a room.

    Args:
        pages: Reads the partition of a number page by page.
        shards: Numbers of the partitions.
        first: The member that comes first; ``pages`` leaves it out.
    """

    def __init__(self, pages: Callable[[int], Pages], shards: Sequence[int], first: Recipient | None = None) -> None:
        self._pages = pages
        self._shards = shards
        self._first = first

    def __iter__(self) -> Iterator[Recipient]:
        """Yield one member after the other."""
        for read in self.reads():
            yield from steps.each(read)

    def reads(self) -> Iterator[Pages]:
        """As of ``recipients.Source``."""
        if self._first is not None:
            yield _one(self._first)
        yield from map(self._pages, self._shards)


def _one(member: Recipient) -> Pages:
    yield [member]
