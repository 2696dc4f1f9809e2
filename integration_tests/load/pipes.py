"""How a process of a load run is told what to do: pickles after their length, over its standard input and output.

A request is ``(number, method, arguments)``, its answer ``(number, value, error)``; answers come in the order in which
they are ready. Both ends belong to one run on one machine, so the pickles are safe.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from asyncio import StreamReader
    from typing import IO

LENGTH_BYTES = 4


class Request(NamedTuple):
    """One call of a method of the other process's :class:`~integration_tests.load.crew.Crew`."""

    number: int
    method: str
    arguments: tuple[Any, ...]


class Answer(NamedTuple):
    """What the call returned, or the traceback of what it raised."""

    number: int
    value: Any
    error: str | None


def pack(part: Request | Answer) -> bytes:
    """Return a request or an answer as it goes over a pipe."""
    content = pickle.dumps(part, pickle.HIGHEST_PROTOCOL)
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


async def receive(pipe: StreamReader) -> Any:  # noqa: ANN401 - Request or Answer, as the other end sends them
    """Read the next part.

    Raises:
        asyncio.IncompleteReadError: The other end is gone.
    """
    length = int.from_bytes(await pipe.readexactly(LENGTH_BYTES), "big")
    return pickle.loads(await pipe.readexactly(length))  # noqa: S301 - from a process of this run


def receive_blocking(pipe: IO[bytes]) -> Any:  # noqa: ANN401 - Request or Answer, as the other end sends them
    """Read the next part, for those without an event loop.

    Raises:
        EOFError: The other end is gone.
    """
    header = pipe.read(LENGTH_BYTES)
    if len(header) < LENGTH_BYTES:
        raise EOFError("the other end of the pipe is gone")
    return pickle.loads(pipe.read(int.from_bytes(header, "big")))  # noqa: S301 - from a process of this run
