"""The sockets that a run waits for: ``epoll`` where the system has it, at a third of the cost of ``selectors``."""

from __future__ import annotations

import select
import selectors
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from roomcast.connection import Connection
    from roomcast.reading import Read

LineT = TypeVar("LineT", bound="Connection")

# Linux has it, and so has Lambda; other systems on which tests run may not. ``poll`` counts milliseconds.
_POLLER, _UNITS = (select.epoll, 1) if hasattr(select, "epoll") else (select.poll, 1000)
_EVENTS = {
    selectors.EVENT_READ: select.POLLIN,
    selectors.EVENT_WRITE: select.POLLOUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: select.POLLIN | select.POLLOUT,
}


class Sockets(Generic[LineT]):
    """The sockets of connections to ``@connections`` and, while rooms are read, to the database.

    Attributes:
        reads_ready: Parts of rooms whose connections to the database could go on when ``wait`` returned last.
    """

    def __init__(self) -> None:
        self.reads_ready: list[Read] = []
        self._lines: dict[int, LineT] = {}
        self._reads: dict[int, Read] = {}
        self._poller = _POLLER()
        self._is_closed = False

    def open(self) -> None:
        """Undo ``close``."""
        if self._is_closed:
            self._poller, self._is_closed = _POLLER(), False

    def add(self, line: LineT) -> None:
        """Begin to wait for a connection to ``@connections``."""
        self._register(line)
        self._lines[line.fileno()] = line

    def change(self, line: LineT) -> None:
        """Follow the connection's ``interest``."""
        self._poller.modify(line.fileno(), _EVENTS[line.interest])

    def remove(self, line: LineT) -> None:
        """Wait for a connection no more, before it is closed."""
        self._poller.unregister(line.fileno())
        del self._lines[line.fileno()]

    def watch_read(self, connection: Connection, read: Read) -> None:
        """Have ``wait`` note when a connection to the database can go on."""
        self._register(connection)
        self._reads[connection.fileno()] = read

    def unwatch_read(self, connection: Connection) -> None:
        """The opposite of ``watch_read``, before the connection goes on or is closed."""
        self._poller.unregister(connection.fileno())
        del self._reads[connection.fileno()]

    def wait(self, seconds: float) -> list[LineT]:
        """Wait until something is ready, or until so many seconds are over; gives the lines that can go on."""
        lines, reads = self._lines, self._reads
        # A negative time would be no limit.
        events = self._poller.poll(seconds * _UNITS if seconds > 0 else 0)
        if not reads:
            self.reads_ready = []
            return [lines[descriptor] for descriptor, _ in events]
        self.reads_ready = [reads[descriptor] for descriptor, _ in events if descriptor in reads]
        return [lines[descriptor] for descriptor, _ in events if descriptor in lines]

    def close(self) -> None:
        """Give up the system's part."""
        self._is_closed = True
        close = getattr(self._poller, "close", None)  # ``poll`` has none
        if close is not None:
            close()

    def _register(self, connection: Connection) -> None:
        self._poller.register(connection.fileno(), _EVENTS[connection.interest])
