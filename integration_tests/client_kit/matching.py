"""Patterns for frames and events."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

COMPARISONS: dict[object, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ABSENT, ANYTHING = "absent", "*"


def matches(pattern: Any, value: Any) -> bool:  # noqa: ANN401 - JSON values
    """Whether a value fits a pattern.

    An object must have the pattern's fields, except ``"absent"`` ones; ``"*"`` is anything, and ``[">=", 5]`` compares.
    """
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name not in value if each == ABSENT else name in value and matches(each, value[name])
            for name, each in pattern.items()
        )
    if isinstance(pattern, list) and pattern and pattern[0] in COMPARISONS:
        return COMPARISONS[pattern[0]](value, pattern[1])
    return bool(pattern in (ANYTHING, value))
