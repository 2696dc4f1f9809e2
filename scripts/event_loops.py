"""Event loops that signals end for certain.

A handler that raises ``KeyboardInterrupt`` does so in whatever code runs, which may be a callback of the interpreter,
such as that of a weak reference, where exceptions are dropped
(https://docs.python.org/3/library/signal.html#note-on-signal-handlers-and-exceptions). Here it is raised where nothing
drops it.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from scripts.command import ENDING

if TYPE_CHECKING:
    from collections.abc import Coroutine

    T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``, where each signal that ends commands does what SIGINT alone does there.

    The first one cancels the coroutine, so that it cleans up, and a further one does not wait for that. A signal that
    this process ignores is none.

    Raises:
        KeyboardInterrupt: There was such a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)
    heeded = {number: signal.getsignal(number) for number in ENDING if signal.getsignal(number) != signal.SIG_IGN}
    is_interrupted = False

    async def heeding() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            nonlocal is_interrupted
            if is_interrupted or task is None:
                raise KeyboardInterrupt
            is_interrupted = True
            task.cancel()

        for number in heeded:
            loop.add_signal_handler(number, interrupt)
        try:
            return await work
        finally:
            for number, handler in heeded.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    try:
        return asyncio.run(heeding())
    except asyncio.CancelledError:
        if not is_interrupted:
            raise
        raise KeyboardInterrupt from None


def interrupt(*_: object) -> None:
    """Handle a signal: raise ``KeyboardInterrupt``, in a loop that runs between two of its callbacks.

    This is for loops that are run by others. Their tasks are cancelled when they are closed.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise KeyboardInterrupt from None
    loop.call_soon_threadsafe(_raise)


def _raise() -> None:
    raise KeyboardInterrupt
