"""One client process of a load run: its :class:`UserGroup` lives there, and this process calls its methods."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import multiprocessing
import pickle
import signal
import threading
import traceback
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

import uvloop

from integration_tests.load.user_group import UserGroup
from scripts.descriptors import allow_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

OBJECTS_BEFORE_COLLECTION = 50_000
"""A connection is some ten objects that stay; by default the collector looks through all of them again and again."""
SPAWN = multiprocessing.get_context("spawn")
"""A forked process would inherit event loops, sockets and locks of this one."""
ENDING = {signal.SIGINT, signal.SIGTERM}
"""A terminal or ``timeout`` sends these to all processes of a command; client processes end with their pipe instead."""


class WorkerError(Exception):
    """A client process failed or ended early; the message holds its traceback or its exit status."""


class WorkerProcess:
    """A :class:`~integration_tests.load.user_group.UserGroup` in a process of its own.

    Create, call and stop it in one event loop.

    Args:
        arguments: Those of ``UserGroup``.

    Attributes:
        pid: Number of the process.
    """

    def __init__(self, *arguments: object) -> None:
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=serve, args=(theirs, *arguments))
        resource_tracker.ensure_running()  # its start would unblock the signals
        with blocked(ENDING):
            self._process.start()
        theirs.close()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self._loop.add_reader(self._pipe.fileno(), self._take)

    async def call(self, method: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - as the method has it
        """Call a method of the process's user group; any number of calls may run at the same time.

        Raises:
            WorkerError: The method raised an exception, or the process ended.
        """
        if self._pipe.closed:
            raise self._end()
        number = next(self._numbers)
        answer = self._waiting[number] = self._loop.create_future()
        with suppress(OSError):  # the process has ended, which _take notices
            self._pipe.send((number, method.__name__, arguments))
        return await answer

    async def stop(self) -> None:
        """End the process and wait until it is gone."""
        self._close()
        await asyncio.to_thread(self._process.join)

    def _take(self) -> None:
        """Take one answer from the pipe."""
        try:
            number, value, error = self._pipe.recv()
        except (EOFError, OSError):
            self._close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(self._end())
            return
        waiting = self._waiting.pop(number)
        if waiting.done():
            return  # the caller was cancelled
        if error is None:
            waiting.set_result(value)
        else:
            waiting.set_exception(WorkerError(error))

    def _close(self) -> None:
        if not self._pipe.closed:
            self._loop.remove_reader(self._pipe.fileno())
            self._pipe.close()

    def _end(self) -> WorkerError:
        self._process.join()
        return WorkerError(f"a client process ended with exit status {self._process.exitcode}")


@contextmanager
def blocked(signals: set[signal.Signals]) -> Iterator[None]:
    """Block signals for the length of the context; a process that starts meanwhile never receives them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(pipe: Connection, *arguments: Any) -> None:  # noqa: ANN401 - as UserGroup has them
    """Run a user group in this process until the other end of the pipe is closed."""
    prepare_process()
    uvloop.run(answer_calls(pipe, *arguments))


def prepare_process() -> None:
    """Let this process open as many sockets as the system allows, without costly garbage collections."""
    allow_sockets()
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)


async def answer_calls(pipe: Connection, *arguments: Any) -> None:  # noqa: ANN401 - as UserGroup has them
    """Call the methods of a user group as calls come in, any number at the same time."""
    users, loop, ended = UserGroup(*arguments), asyncio.get_running_loop(), asyncio.Event()
    answering: set[asyncio.Task[None]] = set()

    def begin(number: int, method: str, given: tuple[Any, ...]) -> None:
        task = asyncio.create_task(answer(pipe, number, getattr(users, method), given))
        answering.add(task)
        task.add_done_callback(answering.discard)

    def read() -> None:
        # In a thread, so that the pipe is emptied while the event loop writes a large answer into it.
        with suppress(EOFError, OSError):
            while True:
                loop.call_soon_threadsafe(begin, *pipe.recv())
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read, daemon=True).start()
    await ended.wait()


async def answer(pipe: Connection, number: int, method: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Call one method and send its result, or the traceback of its exception."""
    try:
        value = method(*arguments)
        content = pickle.dumps((number, await value if inspect.isawaitable(value) else value, None))
    except Exception:  # noqa: BLE001 - the calling process raises it
        content = pickle.dumps((number, None, traceback.format_exc()))
    with suppress(OSError):  # the calling process is gone
        pipe.send_bytes(content)
