"""What a client tells its application: states, messages, receipts and events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from roomcast_client.errors import Closed, Kicked, Refused, RoomcastError

ROOM = re.compile(r"[A-Za-z0-9._-]{1,64}")
MOST_LAST = 100

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Connecting:
    """A socket is being opened, or rooms are being joined. ``attempt`` counts from 1."""

    name: ClassVar[str] = "connecting"
    attempt: int


@dataclass(frozen=True, slots=True)
class Open:
    """There is a socket, and each room has been joined or refused."""

    name: ClassVar[str] = "open"


@dataclass(frozen=True, slots=True)
class Rolling:
    """A second socket is being opened while the first serves on."""

    name: ClassVar[str] = "rolling"


@dataclass(frozen=True, slots=True)
class Waiting:
    """No connection; the next attempt comes in ``retry_in`` seconds.

    ``reason`` is ``lost`` (it was open), ``offline`` (no answer from the host), ``refused`` (the stage answers, but not
    with a socket), ``token`` (the token function failed or took 10 s) or ``handshake`` (not known).
    """

    name: ClassVar[str] = "waiting"
    retry_in: float
    attempt: int
    reason: str


State: TypeAlias = Connecting | Open | Rolling | Waiting | Refused | Kicked | Closed


@dataclass(frozen=True, slots=True)
class Since:
    """A position: everything up to message ``seq`` of this life (``epoch``) of the room was handed over."""

    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Last:
    """A wish for the last ``count`` messages, at most 100."""

    count: int


def check_wish(room: object, since: Since | None, last: int) -> None:
    """Make sure that a room can be asked for: the stage answers a name that no room can have for all of several rooms.

    Raises:
        ValueError: It cannot.
    """
    if not isinstance(room, str) or not ROOM.fullmatch(room):
        raise ValueError(f"no name of a room: {room!r}; it is 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    if not 0 <= last <= MOST_LAST:
        raise ValueError(f"no number of last messages: {last}; it is 0 to {MOST_LAST}")
    if since is not None and not (1 <= len(since.epoch) <= 64 and since.epoch.isprintable() and 0 <= since.seq < 2**53):
        raise ValueError(f"no position of a room: {since}; take it from positions")


@dataclass(frozen=True, slots=True)
class Message:
    """One message. ``at`` is in milliseconds; ``own`` says that this client sent it; ``seq`` or ``mid`` name it.

    ``backend`` says that a backend has published it; one to this client alone is ``direct`` and has an empty ``room``.
    """

    room: str
    sender: str
    at: int
    data: Json
    id: str | None = None
    epoch: str | None = None
    seq: int | None = None
    mid: str | None = None
    replayed: bool = False
    own: bool = False
    direct: bool = False
    backend: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a message is stored (``epoch``, ``seq``), queued, or delivered to so many members."""

    id: str
    room: str
    epoch: str | None = None
    seq: int | None = None
    queued: bool = False
    sending: bool = False
    duplicate: bool = False
    delivered: int | None = None
    gone: int | None = None
    failed: int | None = None


@dataclass(frozen=True, slots=True)
class Members:
    """Up to 100 identities in a room, and the number of all; with ``more`` the stage has not counted all."""

    members: tuple[str, ...]
    count: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Recovered:
    """Whether everything that the room kept since the client's position was handed over; if not, why."""

    room: str
    complete: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """The stage took this client out of a room; the client does not join again by itself."""

    room: str
    reason: str | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """Identities that came and went, and the number of all."""

    room: str
    joined: tuple[str, ...]
    left: tuple[str, ...]
    count: int


Event: TypeAlias = State | Recovered | Left | Presence | RoomcastError
