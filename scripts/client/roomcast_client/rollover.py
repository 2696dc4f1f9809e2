"""When a socket is replaced by the next: before API Gateway ends it, or when the stage asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast_client.sockets import PONG

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast_client.sockets import Socket
    from roomcast_client.timers import Timers

APART = 30.0
"""Seconds between two rollovers at least."""


class Plan:
    """The next rollover.

    Args:
        lifetime: Bounds in seconds of a socket's life.
        random: Returns a number from 0 to below 1.
        roll: Called when it is due.
    """

    def __init__(
        self, timers: Timers, lifetime: tuple[float, float], random: Callable[[], float], roll: Callable[[], None]
    ) -> None:
        self._timers, self._lifetime, self._random, self._roll = timers, lifetime, random, roll
        self._rolled_at = -APART

    def begin(self, socket: Socket) -> None:
        """Plan the end of a socket that is in use from now on."""
        self._timers.cancel(self, "roll")
        low, high = self._lifetime
        self.within(low + (high - low) * self._random())
        self.before_expiry(socket)

    def within(self, seconds: float) -> None:
        """Roll over in so many seconds, or earlier if that is planned."""
        seconds = max(seconds, self._rolled_at + APART - self._timers.now())
        planned = self._timers.left(self, "roll")
        if planned is None or seconds < planned:
            self.again(seconds)

    def again(self, seconds: float) -> None:
        """Try in so many seconds, whatever was planned."""
        # After a sleep of the machine the socket is proved first.
        self._timers.set(self, "roll", seconds, self._roll, anew=PONG)

    def before_expiry(self, socket: Socket) -> None:
        """Roll over before the items of a socket end, if the stage said when."""
        if socket.expires_at is not None:
            self.within(socket.expires_at - self._timers.now())

    def done(self) -> None:
        """Note that a rollover has happened."""
        self._rolled_at = self._timers.now()

    def cancel(self) -> None:
        """Forget what was planned: there is no socket."""
        self._timers.cancel(self, "roll")
