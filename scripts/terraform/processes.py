"""Run Terraform as a child process and end it safely when this process is interrupted."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

STOP_SECONDS = 20
"""How long Terraform may take to stop: an emulator answers a request under way within that time."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

INTERRUPTED = threading.Event()
"""Set once a check is interrupted; a Terraform that a thread starts just then is killed too."""
_running: set[subprocess.Popen[Any]] = set()
CHUNK = 65_536
"""Bytes read at once."""


class Ended(NamedTuple):
    """A command that has ended.

    Attributes:
        output: What it wrote to standard output, which alone may be parsed: warnings and logs go to standard error.
        text: What it wrote to both, line by line as it came.
        status: Its exit status.
    """

    output: str
    text: str
    status: int


def follow(arguments: Sequence[str], environment: Mapping[str, str], report: Callable[[str], None] | None) -> Ended:
    """Run a command until it ends.

    Args:
        arguments: The program and its arguments.
        environment: The whole environment of the command.
        report: Called with each line of both streams as it comes.
    """
    output, both = [], []
    with subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Ctrl-C reaches this process alone, which tells Terraform once: a second signal would make it drop its state.
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        _running.add(process)
        if INTERRUPTED.is_set():
            _kill(process)
        try:
            for stream, line in _lines(process.stdout, process.stderr):
                both.append(line)
                if stream is process.stdout:
                    output.append(line)
                if report is not None:
                    report(line.rstrip("\n"))
        except BaseException:
            _stop(process)
            raise
        finally:
            _running.discard(process)
    return Ended("".join(output), "".join(both), process.returncode)


def _lines(*streams: IO[bytes]) -> Iterator[tuple[IO[bytes], str]]:
    """Yield each line of several streams with its stream, as they come; of those at once, the first stream's first."""
    rests = dict.fromkeys(streams, b"")
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            ready = {key.fileobj for key, _ in selector.select()}
            for stream in (each for each in streams if each in ready):
                chunk = os.read(stream.fileno(), CHUNK)
                *lines, rests[stream] = (rests[stream] + chunk).split(b"\n")
                for line in lines:
                    yield stream, f"{line.decode(errors='replace')}\n"
                if not chunk:
                    selector.unregister(stream)
                    if rests[stream]:
                        yield stream, rests[stream].decode(errors="replace")


@contextlib.contextmanager
def beside(
    arguments: Sequence[str], environment: Mapping[str, str], errors: IO[str]
) -> Iterator[subprocess.Popen[str]]:
    """Run a command, with pipes to its input and output, until the context ends; it is killed then.

    Args:
        arguments: The program and its arguments.
        environment: The whole environment of the command.
        errors: File for what it writes to standard error.
    """
    with subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        _running.add(process)
        if INTERRUPTED.is_set():
            _kill(process)
        try:
            yield process
        finally:
            _running.discard(process)
            _kill(process)
            assert process.stdout is not None
            process.stdout.read()  # which ends when the last process of the group has ended


@contextlib.contextmanager
def killed_by_signals() -> Iterator[None]:
    """Kill every running Terraform when a signal arrives; with mocked providers nothing has to be finished.

    The signal handler sets ``INTERRUPTED`` and raises nothing, because an exception could strike while a thread pool
    holds a lock.
    """

    def interrupt(_number: int, _frame: object) -> None:
        INTERRUPTED.set()
        for process in [*_running]:
            _kill(process)

    INTERRUPTED.clear()
    heeded = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(process: subprocess.Popen[Any]) -> None:
    """Let Terraform finish the request under way and write its state; kill it after a while or a second signal."""
    try:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=scaled(STOP_SECONDS))
    except subprocess.TimeoutExpired:
        pass
    finally:
        # Further signals wait until every child process is gone.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        _kill(process)
        process.wait()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(process: subprocess.Popen[Any]) -> None:
    """Kill Terraform and its providers, which are processes of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
