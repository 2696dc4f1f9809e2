"""The sockets of a client of ``roomcast.v1``, and the numbers of messages that came over each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from integration_tests.harness.ledger import Member, Number


class Link:
    """One socket of a client, and the numbers that came over it.

    Args:
        connection: The ledger's record of it.
    """

    __slots__ = ("connection", "live", "replayed")

    def __init__(self, connection: Member) -> None:
        self.connection = connection
        self.live = Numbers()
        self.replayed = Numbers()


class Numbers:
    """A set of message numbers, one bit for each."""

    __slots__ = ("_masks",)

    def __init__(self) -> None:
        self._masks: dict[str, int] = {}

    def add(self, number: Number) -> bool:
        """Add a number; return whether it is new."""
        mask, bit = self._masks.get(number.epoch, 0), 1 << number.seq
        self._masks[number.epoch] = mask | bit
        return not mask & bit
