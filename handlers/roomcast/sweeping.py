"""Sweeps: delete the items of connections that do not exist, and spare those that do.

A run goes on where the last one ended, in this order:

1. It reads a page of the table and asks for its connections, page after page, while time is left.
2. It waits, and asks again for those that do not exist.
3. It deletes those that still do not. It deletes nothing if no connection existed in the whole run, because then
   something is wrong with the address, or with the stage.
4. It keeps how far it came. Pages with connections that it could not ask for again come once more with the next run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast import logs, questions
from roomcast.sweep_table import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from roomcast.members import Connection
    from roomcast.rooms import Rooms
    from roomcast.sweep_table import SweepTable

PAGE_ITEMS = 200
"""Items read at a time."""

PAGE_SECONDS = 15.0
"""Asking for a page takes at most so long: at a slow pace, pages are smaller, so that each run gets on."""

MINIMUM_AGE_SECONDS = 120
"""Younger connections are left out: connecting takes up to 29 s, and clocks differ by a minute."""

AGAIN_AFTER_SECONDS = 20.0
"""Before a second question: a passing fault that made the first answer wrong is over by then."""

SWEEP_SECONDS = 60.0
"""No page is begun later."""

DELETION_SECONDS = 0.02
"""Of one connection: a transaction deletes some fifty in less than half a second, also from a busy table."""

RESERVE_SECONDS = 5.0
"""Left at the end of a run, to delete and to keep how far it came."""

UNSURE = "unsure"


class Result(NamedTuple):
    """What a run has done.

    Attributes:
        outcome: ``logs.SERVED``; or ``unsure``, or why the questions ended.
        checked: Connections that were asked for, and answered.
        found: Those that do not exist, twice.
        swept: Those of them that were deleted.
        cycle: How far the cycle has come; of one that this run has ended, its numbers.
        is_whole: Whether this run has ended the cycle.
    """

    outcome: str
    checked: int
    found: int
    swept: int
    cycle: Progress
    is_whole: bool

    @property
    def stale_share(self) -> Mapping[str, float]:
        """The metric of a cycle that has ended: the share of its connections that did not exist, in percent."""
        return {"stale_share": round(100 * self.cycle.found / max(self.cycle.checked, 1), 3)} if self.is_whole else {}


class _Read(NamedTuple):
    """A page whose connections were asked for.

    Attributes:
        after: As of ``sweep_table.Page``.
        checked: How many were answered.
        suspects: Ids of those that do not exist.
    """

    after: Mapping[str, Any] | None
    checked: int
    suspects: Sequence[str]


class Sweep:
    """One run.

    Args:
        rooms: The connections table, to delete from.
        table: The same as the sweeper reads it, by the latest end of the run.
        asked: Asks for connections.
    """

    def __init__(self, rooms: Rooms, table: SweepTable, asked: questions.Questions) -> None:
        self._rooms = rooms
        self._table = table
        self._questions = asked
        self._deadline = table.deadline
        self._suspects: dict[str, Connection] = {}
        self._pages: list[_Read] = []

    def run(self) -> Result:
        """Sweep.

        Raises:
            aws_json.ServiceError: The table did not answer in time; the next run begins where this one did.
        """
        before = self._table.progress()
        begun = before if before.begun else Progress(begun=int(time.time()))
        self._read(begun.after)
        found, left = self._ask_again()
        is_unsure = bool(found) and not self._questions.opened
        is_refused = self._questions.ended == questions.REFUSED
        swept = [] if is_unsure or is_refused else found
        if swept:
            self._rooms.remove(swept, self._deadline)
        outcome = self._questions.ended or (UNSURE if is_unsure else logs.SERVED)
        # Where an answer may be wrong, nothing counts as settled.
        left = set(self._suspects) if is_refused else left
        cycle, is_whole = self._advanced(begun, {each.connection_id for each in found}, left)
        self._table.keep(Progress() if is_whole else cycle)
        checked = sum(page.checked for page in self._pages)
        return Result(outcome, checked, len(found), len(swept), cycle, is_whole)

    def _read(self, after: Mapping[str, Any] | None) -> None:
        """Ask for the connections of pages, from a key on."""
        until = time.monotonic() + SWEEP_SECONDS
        while self._has_time(until):
            limit = max(1, min(PAGE_ITEMS, int(self._questions.pace * PAGE_SECONDS)))
            connected_before = int((time.time() - MINIMUM_AGE_SECONDS) * 1000)
            page = self._table.page(after, connected_before, limit)
            new = [each for each in page.connections if not self._is_known(each)]
            answers = self._questions.ask(new, self._deadline - RESERVE_SECONDS)
            self._suspects.update({each.connection_id: each for each in answers.gone})
            if answers.unasked or self._questions.ended:
                return
            checked = len(answers.open) + len(answers.gone)
            self._pages.append(_Read(page.after, checked, [each.connection_id for each in answers.gone]))
            after = page.after
            if after is None:
                return

    def _is_known(self, each: Connection) -> bool:
        """Whether a connection, whose memberships may lie on several pages, is a suspect already."""
        known = self._suspects.get(each.connection_id)
        # Memberships of another connection of that id come with the next cycle.
        if known is not None and known.connected_at == each.connected_at:
            self._suspects[each.connection_id] = known._replace(rooms={**known.rooms, **each.rooms})
        return known is not None

    def _has_time(self, until: float) -> bool:
        """Whether a further page can be asked for, and all suspects again."""
        now = time.monotonic()
        to_come = len(self._suspects) * (1 / self._questions.pace + DELETION_SECONDS)
        return now < until and now + 2 * PAGE_SECONDS + AGAIN_AFTER_SECONDS + to_come + RESERVE_SECONDS < self._deadline

    def _ask_again(self) -> tuple[Sequence[Connection], set[str]]:
        """Ask again for those that do not exist; gives those that still do not, and ids of those not asked for."""
        suspects = [*self._suspects.values()]
        if not suspects or self._questions.ended:
            return [], set(self._suspects)
        time.sleep(AGAIN_AFTER_SECONDS)
        answers = self._questions.ask(suspects, self._deadline - RESERVE_SECONDS)
        return answers.gone, {each.connection_id for each in answers.unasked}

    def _advanced(self, cycle: Progress, found: set[str], left: set[str]) -> tuple[Progress, bool]:
        """How far the cycle has come by the pages without a suspect that is left; and whether it has ended."""
        for page in self._pages:
            if not left.isdisjoint(page.suspects):
                break
            stale = len(found.intersection(page.suspects))
            cycle = Progress(page.after, cycle.begun, cycle.checked + page.checked, cycle.found + stale)
            if page.after is None:
                return cycle, True
        return cycle, False
