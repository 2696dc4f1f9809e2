"""Rights in rooms, as a token or a team's own authorizer grants them.

Rights are a list of patterns (each grants ``join``, ``send`` and ``history``) or a map of pattern to a list of rights.
A pattern is 1 to 64 of the characters ``A-Z a-z 0-9 . _ -`` with an optional ``*`` after them, or ``*`` alone. It
matches the room of that name or, with ``*``, the rooms with names that begin so. Rights of several patterns add up.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERY_RIGHT = frozenset({"join", "send", "history", "presence"})
LISTED_RIGHTS = EVERY_RIGHT - {"presence"}
"""Rights that a pattern of a list grants. Presence shows the other members, so it is granted by name alone."""

PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}\*?|\*")

MAXIMUM_BYTES = 4_096
"""Size limit of the text in the authorizer's context, of which API Gateway takes 8 KB in total
(https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""


class MalformedRightsError(ValueError):
    """The value is no list and no map, or its text is not JSON. The message repeats none of it."""


class Rights(NamedTuple):
    """Rights by pattern.

    Attributes:
        granted: Each pattern, and the rights that it grants.
        ignored: Entries and rights that are malformed or unknown. They grant nothing.
    """

    granted: Sequence[tuple[str, frozenset[str]]]
    ignored: int = 0

    def of(self, room: str) -> frozenset[str]:
        """The rights in a room: some of ``EVERY_RIGHT``."""
        return frozenset().union(*(rights for pattern, rights in self.granted if matches(pattern, room)))

    def somewhere(self, right: str) -> bool:
        """Whether there may be a room with a right."""
        return any(right in rights for _, rights in self.granted)


ALL = Rights((("*", EVERY_RIGHT),))
"""All rights in all rooms, where no authorizer limits them."""

NONE = Rights(())
"""No rights at all."""


def of_claim(claim: object) -> Rights:
    """Read rights from a decoded JSON value.

    Raises:
        MalformedRightsError: The value is no list and no map.
    """
    if isinstance(claim, dict):
        entries = list(claim.items())
    elif isinstance(claim, list):
        entries = [(pattern, LISTED_RIGHTS) for pattern in claim]
    else:
        raise MalformedRightsError("rights must be a list or a map")
    granted = []
    ignored = 0
    for pattern, listed in entries:
        if is_pattern(pattern) and isinstance(listed, (list, frozenset)):
            known = [right for right in listed if isinstance(right, str) and right in EVERY_RIGHT]
            ignored += len(listed) - len(known)
            granted.append((pattern, frozenset(known)))
        else:
            ignored += 1
    return Rights(tuple(granted), ignored)


def read(text: object) -> Rights:
    """Read rights from the text in an authorizer's context.

    Args:
        text: JSON of a list or a map, at most ``MAXIMUM_BYTES`` of UTF-8.

    Raises:
        MalformedRightsError: It is another type, too long, not JSON, has a name twice, or is no list and no map.
    """
    # A character takes at least one byte, and half of a surrogate pair has no bytes at all.
    if not isinstance(text, str) or len(text.encode(errors="replace")) > MAXIMUM_BYTES:
        raise MalformedRightsError("rights must be a text of at most 4096 bytes")
    try:
        claim = json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError):
        raise MalformedRightsError("rights are not JSON, or have a name twice") from None
    return of_claim(claim)


def is_pattern(pattern: object) -> bool:
    """Whether a value is a pattern of rooms."""
    return isinstance(pattern, str) and PATTERN.fullmatch(pattern) is not None


def matches(pattern: str, room: str) -> bool:
    """Whether a pattern is one of a room."""
    return room.startswith(pattern[:-1]) if pattern.endswith("*") else room == pattern


def _without_repetition(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Readers disagree on which of two equal names counts."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members
