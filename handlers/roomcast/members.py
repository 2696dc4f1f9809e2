"""Members of a room, read when they are asked for: one by one, or shards side by side in the engine's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from roomcast.recipients import Pages, Recipient


class Members:
    """Members of a room; a ``recipients.Source``.

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
