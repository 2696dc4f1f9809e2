"""How a process of a load run is told what to do: pickles after their length, over its standard input and output.

Answers come in the order in which they are ready. Both ends belong to one run on one machine, so pickles are safe.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from asyncio import StreamReader
    from typing import IO

LENGTH_BYTES = 4


class Call(NamedTuple):
    """A method of the other process's :class:`~integration_tests.load.crew.Crew` and its arguments."""

    number: int
    method: str
    arguments: tuple[Any, ...]


class Answer(NamedTuple):
    """What the call of that number returned, or the traceback of what it raised."""

    number: int
    value: Any
    error: str | None


def pack(part: Call | Answer) -> bytes:
    """Return a call or an answer as it goes over a pipe."""
    content = pickle.dumps(part, pickle.HIGHEST_PROTOCOL)
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


async def receive_call(pipe: StreamReader) -> Call:
    """Read the next call.

    Raises:
        asyncio.IncompleteReadError: The other end is gone.
    """
    length = int.from_bytes(await pipe.readexactly(LENGTH_BYTES), "big")
    call: Call = pickle.loads(await pipe.readexactly(length))  # noqa: S301 - from the process that started this one
    return call


def receive_answer(pipe: IO[bytes]) -> Answer:
    """Read the next answer, and wait for it.

    Raises:
        EOFError: The other end is gone.
    """
    length = int.from_bytes(_read_exactly(pipe, LENGTH_BYTES), "big")
    answer: Answer = pickle.loads(_read_exactly(pipe, length))  # noqa: S301 - from a process that this one started
    return answer


def _read_exactly(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) < length:
        raise EOFError("the other end of the pipe is gone")
    return content
