"""Removes items that runs against a stage in use left in its table, if ``$disconnect`` and time to live did not."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from integration_tests.harness.table import rooms_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.harness.table import ConnectionsTable

MS_PER_HOUR = 3_600_000


def sweep(table: ConnectionsTable, *, older_than: float, dry_run: bool, show: Callable[[str], None]) -> int:
    """Remove the items of old connections to the harness's own rooms, and no others.

    Args:
        table: The stage's connections table.
        older_than: Hours since the connection was made. None lives longer than two, so a day is on the safe side.
        dry_run: Count the items without removing them.
        show: Called with the number of items of each room, and of all.

    Returns:
        How many items were, or would be, removed.
    """
    rooms: Counter[str] = Counter()
    for item in table.items_of_tests(round(time.time() * 1_000 - older_than * MS_PER_HOUR)):
        rooms.update(rooms_of(item))
        if not dry_run:
            table.delete(item)
    for room, items in sorted(rooms.items()):
        show(f"{items:>7} items of {room}")
    show(f"{rooms.total():>7} items older than {older_than:g} h {'would be' if dry_run else 'are'} removed")
    return rooms.total()
