"""An event loop on which waiting costs nothing: time moves on when nothing can happen before the next timer.

Client and fake server run in it together. Addresses of TCP stand for Unix sockets, which deliver within the call that
sends, so that no machine is too busy for a scenario, and each run of a seed is like the one before.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

LONGEST = 3_600.0
"""Virtual seconds of a wait without a timer: a scenario in which nothing happens any more is at its end."""


class _Selector(selectors.DefaultSelector):
    """Finds sockets that are ready; if there is none, skips the wait."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - as of the base class
        """Return what is ready now; else let the time pass in which nothing can come."""
        ready = super().select(0)
        if not ready:
            self.skipped += LONGEST if timeout is None else max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; its time begins at 0."""

    def __init__(self) -> None:
        self._waits = _Selector()
        self._folder = TemporaryDirectory()
        self._ports = itertools.count(1024)
        self.transports: list[asyncio.Transport] = []
        super().__init__(self._waits)

    def time(self) -> float:
        """Return virtual seconds."""
        return self._waits.skipped

    def _path(self, port: object) -> str:
        return str(Path(self._folder.name) / str(port))

    async def create_server(  # type: ignore[override]
        self,
        factory: Any,  # noqa: ANN401 - as of the base class
        host: Any = None,  # noqa: ANN401
        port: int = 0,
        **options: Any,  # noqa: ANN401
    ) -> asyncio.Server:
        """Listen at an address that this loop alone knows; port 0 is the next free one."""
        del host
        self.port = port or next(self._ports)
        return await self.create_unix_server(factory, self._path(self.port), **options)

    async def create_connection(  # type: ignore[override]
        self,
        factory: Any,  # noqa: ANN401 - as of the base class
        host: Any = None,  # noqa: ANN401
        port: int = 0,
        **options: Any,  # noqa: ANN401
    ) -> tuple[asyncio.Transport, Any]:
        """Connect to such an address.

        Raises:
            OSError: Nothing listens there.
        """
        del host, options
        transport, protocol = await self.create_unix_connection(factory, self._path(port))
        self.transports.append(transport)
        return transport, protocol

    def close(self) -> None:
        """Remove the sockets too."""
        super().close()
        self._folder.cleanup()


def run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the coroutine returns
    """Run a coroutine in such a loop and return its result."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
