"""Reads the recipients of a message in the engine's loop: parts side by side, each one page ahead of the posts."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from roomcast.backoff import RANDOM
from roomcast.steps import Wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roomcast.connection import Connection
    from roomcast.recipients import Pages, Recipient, Source

AT_ONCE = 16
"""Parts that are read side by side: sixteen take as long as one. Each costs one more connection, and a page in
memory."""

ALL_AT_ONCE = 256
"""The same of all messages of a run together. Lambda allows 1,024 open files, of which posts take 250."""

ENOUGH = 1_000
"""While so many recipients wait to be taken, no further page is asked for: memory must not grow with the room."""

GOLDEN = 0.618033988749895
"""The step from the start of one page to that of the next one, as a share of it: any few steps are spread evenly."""


def _starts() -> Iterator[float]:
    """Yield where to begin in each page, as shares of it."""
    share = RANDOM.random()
    while True:
        yield share
        share = (share + GOLDEN) % 1


_STARTS = _starts()


class Read:
    """One part: its pages, and the connection or time it waits for.

    Attributes:
        owner: The message's reading.
        pages: The generator.
        watched: The connection that is waited for, if any.
        until: When to go on at the latest, in seconds of ``time.monotonic``.
    """

    __slots__ = ("owner", "pages", "until", "watched")

    def __init__(self, owner: Reading, pages: Pages) -> None:
        self.owner = owner
        self.pages = pages
        self.watched: Connection | None = None
        self.until = 0.0


class Watch(Protocol):
    """Waits for connections to the database, as ``sockets.Sockets``."""

    def watch_read(self, connection: Connection, read: Read) -> None:
        """Have the loop note when a connection can go on."""

    def unwatch_read(self, connection: Connection) -> None:
        """The opposite."""


class Reading:
    """The recipients of one message.

    Args:
        source: The recipients.
        watch: Watches the connections to the database.
        at_once: Parts that are read side by side.

    Attributes:
        ahead: Recipients that were read and not taken.
        error: The exception that reading raised; then nothing more is read.
    """

    def __init__(self, source: Source, watch: Watch, at_once: int = AT_ONCE) -> None:
        self.ahead: deque[Recipient] = deque()
        self.error: Exception | None = None
        self._watch = watch
        self._at_once = at_once
        self._rest = deque(source.reads())
        self._waiting: list[Read] = []
        self._parked: list[Read] = []
        self._pages = 0
        self._found = 0

    @property
    def expected(self) -> int:
        """Recipients that the parts still to be read probably hold: each a page of the usual size."""
        return (len(self._rest) + len(self._waiting)) * self._found // max(1, self._pages)

    @property
    def is_whole(self) -> bool:
        """Whether all recipients were read."""
        return not (self._rest or self._waiting or self._parked)

    @property
    def is_exhausted(self) -> bool:
        """Whether all recipients that will be read were taken."""
        return not self.ahead and self.is_whole

    @property
    def until(self) -> float:
        """When to call ``go_on`` at the latest, in seconds of ``time.monotonic``."""
        return min((read.until for read in self._waiting), default=float("inf"))

    def go_on(self, now: float) -> None:
        """Ask for further pages, unless some are waiting to be taken; note the waits that are over."""
        for read in [read for read in self._waiting if read.until <= now]:
            self.resume(read, is_ready=False)
        self._ask()

    def _ask(self) -> None:
        while self._parked and len(self.ahead) < ENOUGH:
            self._step(self._parked.pop(), is_ready=True)
        while self._rest and len(self.ahead) < ENOUGH and len(self._waiting) + len(self._parked) < self._at_once:
            self._step(Read(self, self._rest.popleft()), is_ready=None)

    def resume(self, read: Read, *, is_ready: bool) -> None:
        """Go on with a part once its connection is ready, or its wait is over."""
        if read in self._waiting:
            self._waiting.remove(read)
            self._unwatch(read)
            self._step(read, is_ready=is_ready)
            self._ask()

    def take_all(self) -> list[Recipient]:
        """Take all recipients that were read."""
        recipients = list(self.ahead)
        self.ahead.clear()
        return recipients

    def close(self) -> None:
        """Read no further."""
        for read in self._waiting:
            self._unwatch(read)
        for read in (*self._waiting, *self._parked):
            read.pages.close()
        self._rest.clear()
        self._waiting.clear()
        self._parked.clear()

    def _step(self, read: Read, *, is_ready: bool | None) -> None:
        try:
            item = next(read.pages) if is_ready is None else read.pages.send(is_ready)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - the engine raises it when the recipients read so far are served
            self.error = error
            self.close()
            return
        if isinstance(item, Wait):
            read.until = item.until
            self._waiting.append(read)
            if item.connection is not None:
                read.watched = item.connection
                self._watch.watch_read(item.connection, read)
        else:
            self._parked.append(read)
            self._add(item)

    def _add(self, page: list[Recipient]) -> None:
        self._pages += 1
        self._found += len(page)
        # Members that come last with one message do not with the next one.
        first = int(next(_STARTS) * len(page)) if len(page) > 1 else 0
        self.ahead.extend(page[first:])
        self.ahead.extend(page[:first])

    def _unwatch(self, read: Read) -> None:
        if read.watched is not None:
            self._watch.unwatch_read(read.watched)
            read.watched = None
