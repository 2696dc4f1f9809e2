"""What a check is, what it finds, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from roomcast_cli.doctor.answers import Answers

    Find = Callable[[Answers], Iterable["Finding"]]

PASSED, WARNING, ERROR, SKIPPED = "passed", "warning", "error", "skipped"
"""What may come of a check. A check that could not be made is skipped, and never passed."""


class Finding(NamedTuple):
    """Something that is wrong.

    Attributes:
        resource: What it is about: a name or an ARN.
        finding: One sentence that names the resource, the rule, and what breaks.
        remedy: What to do.
        status: ``ERROR`` or ``WARNING``; ``SKIPPED`` where the stage lacks what the check needs.
    """

    resource: str
    finding: str
    remedy: str
    status: str = ERROR


class Check(NamedTuple):
    """One question about a stage.

    Attributes:
        id: Its name.
        group: The group of checks that it belongs to.
        find: Yields what is wrong, and raises ``NotMade`` where that cannot be seen.
    """

    id: str
    group: str
    find: Find


class Result(NamedTuple):
    """What came of a check; a check with several findings has several results.

    Attributes:
        id: Name of the check.
        group: Its group.
        status: One of the four above.
        finding: What is wrong, or why the check was skipped; nothing of a check that passed.
        remedy: What to do.
        resource: What it is about; None of a check that passed or could not be made.
    """

    id: str
    group: str
    status: str
    finding: str | None = None
    remedy: str | None = None
    resource: str | None = None


def group_of(name: str, *finders: Find) -> Sequence[Check]:
    """Return the checks of a group, which are called as their functions."""
    return [Check(find.__name__.replace("_", "-"), name, find) for find in finders]
