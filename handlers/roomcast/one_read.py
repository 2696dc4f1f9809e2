"""One read of a partition for all messages of a batch: its members do not have to be read again for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.steps import Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast.recipients import Pages, Recipient

MAXIMUM_KEPT = 10_000
"""Members that are kept for the next messages: some 3 MB. Larger partitions are read for each message, so that memory
does not grow with the room."""


class OneRead:
    """A read that several messages share.

    Each of them must be in the queue before the read begins, and the read must be strongly consistent. Then it finds
    each connection that was a member when a message was acknowledged and still is one.

    Attributes:
        is_over: Whether the first message has read all, or the others must read for themselves.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._kept: list[list[Recipient]] = []
        self._count = 0
        self._is_whole = False

    def first(self, pages: Pages) -> Pages:
        """Read the pages, and keep them for the others."""
        is_ready = False
        try:
            item = next(pages)
            while True:
                if not isinstance(item, Wait):
                    self._keep(item)
                is_ready = yield item
                item = pages.send(is_ready)
        except StopIteration:
            self._is_whole = not self.is_over
        finally:
            pages.close()
            self.is_over = True

    def _keep(self, page: list[Recipient]) -> None:
        self._count += len(page)
        if self._count <= MAXIMUM_KEPT:
            self._kept.append(page)
        else:
            self._kept.clear()
            self.is_over = True

    def again(self, read: Callable[[], Pages]) -> Pages:
        """The pages that the first message has read; read them if that was not to the end."""
        if not self._is_whole:
            yield from read()
        for page in self._kept if self._is_whole else ():
            yield list(page)
