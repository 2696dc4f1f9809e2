"""A value from another service that is kept, read again from time to time, and used on while the service fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from roomcast import logs
from roomcast.addresses import LONG_AGO, Moment

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

KEPT_SECONDS = 600
"""How long a value is used before it is read again: a key that its owner withdraws is good for as long."""

RETRY_SECONDS = 60
"""Shortest time between two attempts, whether they succeed or not: callers with unknown keys, or a service that hangs,
must not make every handshake an attempt."""

RETRY_WITHOUT_SECONDS = 5
"""The same while a needed value is missing, because no handshake succeeds without it."""


class ReadError(Exception):
    """The value could not be read; the message is one of a closed list and holds no text of the service."""


class UnavailableError(Exception):
    """There is no value, or only one that is too old; the message tells why the last attempt failed."""


class Kept(Generic[T]):
    """Keeps the last value that was read.

    Args:
        read: Reads the value; takes a deadline in seconds of ``time.monotonic``, raises ``ReadError``. A value that is
            false, such as no keys at all, replaces the last one and counts as none.
        stale_seconds: How long after it was read a value may be used while it cannot be read again.
        is_needed: Whether no handshake succeeds without the value.
    """

    def __init__(self, read: Callable[[float], T], stale_seconds: float, *, is_needed: bool = True) -> None:
        self._read = read
        self._is_needed = is_needed
        self._usable_seconds = max(KEPT_SECONDS, stale_seconds)
        self._value: T | None = None
        self._read_at: Moment = LONG_AGO
        self._tried_at: Moment = LONG_AGO
        self._problem = "not read yet"

    def get(self, deadline: float) -> T:
        """Give the value; read it first if it is due and an attempt is allowed.

        Args:
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            UnavailableError: There is none.
        """
        if self._value is None or self._read_at.seconds_ago() >= KEPT_SECONDS:
            self.refresh(deadline)
        if self._value is None:
            raise UnavailableError(self._problem)
        return self._value

    def refresh(self, deadline: float) -> bool:
        """Read the value now, if an attempt is allowed; whether it was read."""
        if self._read_at.seconds_ago() >= self._usable_seconds:
            self._value = None
        is_missing = self._is_needed and self._value is None
        if self._tried_at.seconds_ago() < (RETRY_WITHOUT_SECONDS if is_missing else RETRY_SECONDS):
            return False
        self._tried_at = Moment()
        try:
            self._value = self._read(deadline) or None
        except ReadError as error:
            self._note_failure("WARNING", str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a fault in reading says nothing about a token, which 401 would
            self._note_failure("ERROR", f"unexpected {type(error).__name__}")
            return False
        self._read_at = Moment()
        self._problem = "no usable key"
        return True

    def _note_failure(self, level: str, problem: str) -> None:
        self._problem = problem
        logs.write(level, "keys_not_read", error=problem, in_use=self._value is not None)
