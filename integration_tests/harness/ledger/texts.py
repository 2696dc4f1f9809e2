"""The text of a message: a stamp that says which message it is, and characters that careless code would alter."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import NamedTuple

from integration_tests.harness import credentials
from integration_tests.harness.latency import MICROSECONDS

SEPARATOR = "|"
LONGEST_NAME = 80
"""Characters of a room's or sender's name; rooms of Roomcast have 64 at most."""
PROBE = " \"\\'<&>%41+\t\u00e9e\u0301\u6f22\U0001f600\u2028 "
"""Part of every message: escaping, trimming, normalising or encoding once more would change these characters."""
STAMP = re.compile(
    rf"([0-9a-f]{{8}})\|([^|]{{1,{LONGEST_NAME}}})\|([^|]{{1,{LONGEST_NAME}}})\|(\d{{1,12}})\|(\d{{1,18}})\|(\d{{1,12}})\|(\d{{1,7}})\|([0-9a-f]{{8}})\|"
)


class Stamp(NamedTuple):
    """The identity of a message, as its text carries it.

    Attributes:
        run: Token of the run's name.
        room: Name of the room.
        sender: Name of the sender.
        sequence: The sender's number of the message.
        microseconds: When the schedule wanted it sent, by the monotonic clock.
        waited: Microseconds from then until its sending began.
        size: Characters that the whole text was meant to have.
    """

    run: str
    room: str
    sender: str
    sequence: int
    microseconds: int
    waited: int
    size: int

    @property
    def intended_at(self) -> float:
        """When the schedule wanted the message sent, monotonic seconds."""
        return self.microseconds / MICROSECONDS

    @property
    def sent_at(self) -> float:
        """When its sending began, monotonic seconds."""
        return (self.microseconds + self.waited) / MICROSECONDS

    def written(self) -> str:
        """Return the stamp as it stands in a text: its parts and their checksum."""
        parts = SEPARATOR.join(map(str, self))
        return f"{parts}{SEPARATOR}{checksum(parts)}{SEPARATOR}"

    def text(self) -> str:
        """Return the message: the stamp at both ends, so that either half identifies it, and dots in between."""
        stamp = self.written()
        filler = "." * (self.size - 2 * len(stamp) - len(PROBE) - 2)
        return f" {stamp}{PROBE}{filler}{stamp} "


class Reading(NamedTuple):
    """A text that arrived.

    Attributes:
        stamp: Of the message that the text is, or once was.
        difference: How the text differs from the one that was sent; empty if it does not.
    """

    stamp: Stamp
    difference: str


def checksum(text: str) -> str:
    """Return eight hexadecimal digits that change with the text."""
    return f"{zlib.crc32(text.encode(errors='surrogatepass')):08x}"  # JSON may hold half a pair of surrogates


def digest(text: str) -> str:
    """Return what a report says of a text that may be anybody's: its length and its checksum."""
    return f"{len(text):,} characters with the checksum {checksum(text)}"


@lru_cache(maxsize=256)  # all members of a room receive the same text
def read(text: str) -> Reading | None:
    """Take apart the text of a message, altered ones included; return None for any other text."""
    for match in STAMP.finditer(text):
        run, room, sender, sequence, *numbers, digits = match.groups()
        if digits == checksum(match[0][: -len(digits) - 2]):
            stamp = Stamp(run, room, sender, int(sequence), *map(int, numbers))
            return Reading(stamp, difference(stamp.text(), text))
    return None


def difference(sent: str, received: str) -> str:
    """Say how a received text differs from the one that was sent; return nothing if it does not."""
    if sent == received:
        return ""
    lengths = "" if len(sent) == len(received) else f", {len(received)} characters instead of {len(sent)}"
    received = credentials.hidden(received)
    place = next((at for at, pair in enumerate(zip(sent, received, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        return f"the text{lengths}"
    return (
        f"{received[place : place + 12]!r} instead of {sent[place : place + 12]!r} from character {place} on{lengths}"
    )
