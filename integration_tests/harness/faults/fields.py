"""The fields of rules and faults: checked, read from JSON, and named in reports."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

TYPES: Mapping[object, Any] = {"str": str, "int": int, "float": (int, float)}
"""What a field of each annotation may be; JSON's booleans are no numbers."""


class RuleError(ValueError):
    """A rule makes no sense; the message names the rule, the field and its allowed values."""


def check(holds: bool, sentence: str) -> None:
    """Refuse fields for which a condition does not hold.

    Raises:
        RuleError: It does not; the message is the sentence.
    """
    if not holds:
        raise RuleError(sentence)


def build(kind: type[T], wanted: Mapping[str, Any], what: str) -> T:
    """Make a dataclass of its fields in JSON.

    Args:
        kind: The dataclass.
        wanted: Its fields.
        what: Its name in messages.

    Raises:
        RuleError: A field is unknown, missing, of another type or out of range.
    """
    allowed = {each.name: each for each in fields(kind)}
    if unknown := wanted.keys() - allowed.keys():
        raise RuleError(f"{what}: unknown field {', '.join(sorted(unknown))}; allowed are {', '.join(allowed)}")
    missing = {name for name, each in allowed.items() if each.default is MISSING and name not in wanted}
    if missing:
        raise RuleError(f"{what}: {', '.join(sorted(missing))} must be given")
    for name, value in wanted.items():
        if not isinstance(value, TYPES.get(allowed[name].type, object)) or isinstance(value, bool):
            raise RuleError(f"{what}: {name} must be of the type {allowed[name].type}")
    return kind(**wanted)


def unusual(each: DataclassInstance, *but: str) -> list[str]:
    """Return name and value of the fields that differ from their defaults, apart from some."""
    values = {field.name: getattr(each, field.name) for field in fields(each) if field.name not in but}
    usual = {field.name: field.default for field in fields(each)}
    return [f"{name} {value}" for name, value in values.items() if value != usual[name]]
