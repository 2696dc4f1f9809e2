"""Sending to rooms that keep messages, and joining them: the order of the steps is what nothing is missed by.

A sender stores its message before it reads the members. A client that joins writes its membership before it reads the
log.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from roomcast import aws_json, protocol, replay_frames
from roomcast.holes import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from roomcast.frames import Ask
    from roomcast.history import Draft, History, Kept, Sender
    from roomcast.members import Connection
    from roomcast.replay import Replay
    from roomcast.steps import Steps

    T = TypeVar("T")

SETTLE_SECONDS = 2.0
"""The receipt waits so long at most for the record that the message is delivered: four attempts."""

ROUNDS = 5
"""So often a join begins anew because the rooms of its connection changed meanwhile; a client does one thing at a
time."""


def send(
    history: History, draft: Draft, sender: Sender | None, deliver: Callable[[Kept], Steps[T]], deadline: float
) -> Steps[tuple[Kept, T | None]]:
    """Store a message, and then deliver it, unless an earlier try has or does; gives both results.

    Args:
        history: The logs.
        draft: The message.
        sender: As of ``History.append``.
        deliver: Reads the members, and posts or queues the message; raises if members are left over, so that another
            try goes on.
        deadline: Latest end, in seconds of ``time.monotonic``.

    Raises:
        protocol.Refusal: As of ``History.append`` and ``deliver``.
    """
    kept = yield from history.append(draft, sender, deadline)
    if kept.is_duplicate or kept.is_sending:
        return kept, None
    result = yield from deliver(kept)
    try:
        yield from history.settle(kept, min(deadline, time.monotonic() + SETTLE_SECONDS))
    except aws_json.ServiceError as error:
        # The message is stored and delivered: the receipt says so, and its client does not send it again.
        aws_json.tell("WARNING", "a message is not recorded as delivered", error)
    return kept, result


class Visitor(NamedTuple):
    """A client that joins rooms.

    Attributes:
        enter: Writes its memberships but for those that its item names; takes its connection as it was read, and gives
            it as it is then.
        find: Reads its connection; ``None`` if it has no item.
        may_post: Takes a frame from what it may be sent now; false if there is nothing left.
        post: Posts a text to it; false if API Gateway did not take it.
    """

    enter: Callable[[Connection], Steps[Connection]]
    find: Callable[[], Steps[Connection | None]]
    may_post: Callable[[], Steps[bool]]
    post: Callable[[str], Steps[bool]]


def join(
    history: History, asks: Mapping[str, Ask], visitor: Visitor, known: Connection, deadline: float
) -> Steps[tuple[Connection, dict[str, Replay]]]:
    """Make a client a member of rooms, and post what each log has for it; gives what to answer for each.

    Rooms that it may be sent nothing of now, because it has used up its messages, have no answer: else a client whose
    rooms need more frames than it may be sent at once would join none of them, however often it asks.

    Args:
        history: The logs.
        asks: The questions, by the rooms that keep messages.
        visitor: The client.
        known: Its connection as it was read.
        deadline: Latest end, in seconds of ``time.monotonic``. Half of the time may pass before the last post.

    Raises:
        protocol.Refusal: ``reconnect`` for a client that has gone, or ``unavailable``.
    """
    until = time.monotonic() + (deadline - time.monotonic()) / 2
    for _ in range(ROUNDS):
        entered = yield from visitor.enter(known)
        inside = {room: ask for room, ask in asks.items() if room in entered.rooms}
        opened = yield from history.heads.open(inside, deadline)
        replays: dict[str, Replay] = {}
        for room, ask in inside.items():
            replay = yield from history.read(Log(room, opened[room]), ask, until, deadline)
            posted = yield from _post(room, ask, replay, visitor, until)
            if posted is None:
                # To read further logs would cost as much as to post them.
                break
            # What has been posted needs no memory any more: each of forty rooms may have 1 MB.
            replays[room] = posted._replace(slots=())
        now = yield from visitor.find()
        if now is None:
            raise protocol.Refusal("reconnect")
        # Another invocation may have taken the client out of a room meanwhile, and what it missed then was not read.
        if now.version == entered.version:
            return entered, replays
        known = now
    raise protocol.Refusal("unavailable")


def _post(room: str, ask: Ask, replay: Replay, visitor: Visitor, until: float) -> Steps[Replay | None]:
    """Post the slots in order, as many as time allows; gives what is true of those that were posted.

    Gives ``None`` if the client may be sent none of them now.
    """
    is_first = True
    for text, first in replay_frames.messages(room, replay.epoch, replay.slots):
        if not is_first and time.monotonic() >= until:
            return _cut(replay, ask, first)
        if not (yield from visitor.may_post()):
            return None if is_first else _cut(replay, ask, first)
        if not (yield from visitor.post(text)):
            raise protocol.Refusal("unavailable")
        is_first = False
    return replay


def _cut(replay: Replay, ask: Ask, first: int) -> Replay:
    """The answer without slots from a number on: the client asks for them from its position."""
    seq = min(replay.seq, first - 1)
    is_page = replay.is_recovered is True and ask.position is not None
    return replay._replace(seq=seq, has_more=is_page and ask.position is not None and seq > ask.position.seq)
