"""Keeps the messages of one run to the same member in order: a later one waits until the earlier one is settled."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from roomcast.verdicts import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.shares import Post

CLOSING = {Outcome.LATE: Outcome.LATE, Outcome.DEAD: Outcome.ABSENT}
"""Outcomes of a message that decide those of the later ones to the same member: they stay behind a late one, and one
report of a dead member is enough."""


class Lanes:
    """A lane for each member with an unsettled message: the post under way, and those behind it."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Post]] = {}
        self._closed: dict[str, Outcome] = {}

    def enter(self, post: Post) -> bool:
        """Whether a post may be sent now; else it waits behind another one."""
        lane = self._lanes.get(post.recipient.connection_id)
        if lane is None:
            self._lanes[post.recipient.connection_id] = deque((post,))
            return True
        lane.append(post)
        post.is_behind = True
        return False

    def closed(self, post: Post) -> Outcome | None:
        """The outcome that an earlier message to the same member has decided."""
        outcome = self._closed.get(post.recipient.connection_id)
        post.is_behind = outcome is not None
        return outcome

    def leave(self, post: Post, outcome: Outcome | None) -> Sequence[Post]:
        """Note that a post is settled; ``None`` is a delivery. Gives the next one, or all in a lane that closes."""
        name = post.recipient.connection_id
        lane = self._lanes.get(name)
        if lane is None or lane[0] is not post:
            return ()
        lane.popleft()
        if outcome in CLOSING:
            self._closed[name] = CLOSING[outcome]
        elif lane:
            return (lane[0],)
        del self._lanes[name]
        return lane
