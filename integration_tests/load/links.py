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


BLOCK = 4_096
"""Numbers that share a mask: a stage may give out any number below 2^53."""


class Numbers:
    """A set of message numbers, one bit for each in a mask of its block of numbers."""

    __slots__ = ("_masks",)

    def __init__(self) -> None:
        self._masks: dict[str | tuple[str, int], int] = {}

    def add(self, number: Number) -> bool:
        """Add a number; return whether it is new."""
        epoch, seq = number
        # Most runs never exceed the first block.
        block: str | tuple[str, int] = epoch if seq < BLOCK else (epoch, seq // BLOCK)
        mask, bit = self._masks.get(block, 0), 1 << seq % BLOCK
        self._masks[block] = mask | bit
        return not mask & bit
