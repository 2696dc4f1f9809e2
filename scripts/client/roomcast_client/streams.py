"""What the application iterates over: each iterator has its own copy of what comes."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakSet, finalize

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
MOST = 1_000
"""Items of a room that wait for the application; further messages stay in the room's log."""


class Stream(Generic[T]):
    """An iterator over a room, or over everything; leaving its loop ends it."""

    def __init__(self, feed: Feed[T], room: str | None) -> None:
        self.room = room
        self.items: deque[tuple[str, T]] = deque()
        self.came = asyncio.Event()
        self._feed = feed

    def __aiter__(self) -> Stream[T]:
        """Return this iterator."""
        return self

    async def __anext__(self) -> T:
        """Return the next item.

        Raises:
            Kicked: The stage removed the client; after the last item, if it iterates over messages.
            Refused: The stage or the token function refuses the client; likewise.
        """
        while not self.items:
            if self._feed.ended is not None:
                raise self._feed.ended.with_traceback(None)
            self.came.clear()
            await self.came.wait()
        item = self.items.popleft()[1]
        if self._feed.was_full and len(self.items) <= MOST // 2:
            self._feed.was_full = False
            self._feed.has_room()
        return item


class Feed(Generic[T]):
    """Gives items to all iterators; keeps them for the next one while there is none."""

    def __init__(self, has_room: Callable[[], None]) -> None:
        self.has_room = has_room
        self.was_full = False
        self.ended: Exception | None = None
        self._streams: WeakSet[Stream[T]] = WeakSet()
        self._kept: dict[str, deque[tuple[str, T]]] = {}

    def stream(self, room: str | None = None) -> Stream[T]:
        """Return a new iterator, which begins with what was kept for it."""
        stream = Stream(self, room)
        for name in [name for name in self._kept if room in (None, name)]:
            stream.items.extend(self._kept.pop(name))
        self._streams.add(stream)
        finalize(stream, self._dropped)
        return stream

    def _queues(self, room: str) -> list[deque[tuple[str, T]]]:
        queues = [stream.items for stream in self._streams if stream.room in (None, room)]
        return queues or [self._kept.setdefault(room, deque())]

    def is_full(self, room: str) -> bool:
        """Whether an iterator has not taken the last 1,000 items."""
        is_full = any(len(queue) >= MOST for queue in self._queues(room))
        self.was_full |= is_full
        return is_full

    def put(self, room: str, item: T) -> None:
        """Give an item to all iterators of its room; the oldest of too many goes."""
        for queue in self._queues(room):
            queue.append((room, item))
            if len(queue) > MOST:
                queue.popleft()
        self._wake()

    def end(self, error: Exception) -> None:
        """End all iterators after their last item with an error."""
        self.ended = error
        self._wake()

    def _dropped(self) -> None:
        """A loop was left, which may have been the one that took nothing."""
        with suppress(RuntimeError):  # no event loop runs any more
            asyncio.get_running_loop().call_soon(self.has_room)

    def _wake(self) -> None:
        for stream in self._streams:
            stream.came.set()
