"""The other end of a process of a load run: calls the methods of its crew, from any thread."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from integration_tests.load import calls
from integration_tests.load.terms import TERMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.harness.ledger import Terms

REPOSITORY = Path(__file__).resolve().parents[2]


class RemoteError(Exception):
    """A process of the run failed or is gone; the message says what it said."""


class RemoteCrew:
    """A :class:`~integration_tests.load.crew.Crew` in a process of its own, with the same arguments.

    Args:
        url: The stage's WebSocket URL.
        run: Name of the run, unique to it.
        interval: Length of an interval of the latency's timeline, in seconds.
        terms: What the stage is granted.

    Attributes:
        pid: Number of the process.
    """

    def __init__(self, url: str, run: str, interval: float = 1.0, terms: Terms = TERMS) -> None:
        self._process = subprocess.Popen(
            (sys.executable, "-m", "integration_tests.load.worker", url, run, str(interval), json.dumps(asdict(terms))),
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, whose end closes the pipe, which ends the other
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self._calls = self._process.stdin
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[Any]] = {}
        self._end: RemoteError | None = None
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def call(self, method: Callable[..., Any], *arguments: Any) -> Future[Any]:  # noqa: ANN401 - as the method has them
        """Call a method of the crew.

        Returns:
            Its result, or :class:`RemoteError` if it raised an exception or the process is gone.
        """
        answer: Future[Any] = Future()
        with self._lock:
            if self._end is not None:
                answer.set_exception(self._end)
                return answer
            number = next(self._numbers)
            self._waiting[number] = answer
            with suppress(OSError):  # the process is gone, as the reader is about to notice
                self._calls.write(calls.pack(calls.Call(number, method.__name__, arguments)))
                self._calls.flush()
        return answer

    def stop(self) -> None:
        """End the process."""
        with suppress(OSError):
            self._calls.close()
        self._reader.join()

    def _read(self, answers: IO[bytes]) -> None:
        with answers, suppress(EOFError):
            while True:
                self._take(calls.receive_answer(answers))
        status = self._process.wait()
        with self._lock:
            self._end = RemoteError(f"a process of the run ended with exit status {status}")
            for waiting in self._waiting.values():
                if waiting.set_running_or_notify_cancel():
                    waiting.set_exception(self._end)

    def _take(self, answer: calls.Answer) -> None:
        with self._lock:
            waiting = self._waiting.pop(answer.number)
        if not waiting.set_running_or_notify_cancel():
            return  # whoever asked has gone
        if answer.error is None:
            waiting.set_result(answer.value)
        else:
            waiting.set_exception(RemoteError(answer.error))
