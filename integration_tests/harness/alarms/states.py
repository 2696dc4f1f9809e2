"""The state of an alarm: M of N datapoints, and what counts where there is no data.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

State: TypeAlias = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

OK: State = "OK"
ALARM: State = "ALARM"
INSUFFICIENT_DATA: State = "INSUFFICIENT_DATA"

FURTHER_PERIODS = 2
"""Periods that CloudWatch reads beside the evaluation periods, in the guide's tables; it documents no rule."""


class Rule(NamedTuple):
    """What an alarm says about its datapoints.

    Attributes:
        needed: Breaching datapoints that are an alarm.
        periods: Datapoints that are evaluated.
        missing: What missing data counts as: ``breaching``, ``notBreaching``, ``ignore`` or ``missing``.
    """

    needed: int
    periods: int
    missing: str = "missing"


def state(points: Sequence[bool | None], rule: Rule, before: State) -> State:
    """Return the state that an alarm goes to.

    Args:
        points: Whether each datapoint breaches the threshold, oldest first; None for missing ones.
        rule: The alarm's.
        before: Its state until now.
    """
    real = [point for point in points if point is not None][-rule.periods :]
    lacking = rule.periods - len(real)
    breaching = sum(real) + (lacking if rule.missing == "breaching" else 0)
    if breaching >= rule.needed:
        return ALARM
    if False in real or lacking == 0 or rule.missing in {"breaching", "notBreaching"}:
        return OK
    if rule.missing == "ignore":
        return before
    # All data there is breaches. It is an alarm even with less of it than needed, once the oldest is that old.
    is_old = True in points and len(points) - points.index(True) >= rule.needed
    return ALARM if is_old else INSUFFICIENT_DATA
