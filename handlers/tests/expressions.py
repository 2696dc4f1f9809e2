"""DynamoDB's expressions, as far as the connections table needs them; an invalid one is refused, as by DynamoDB.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

from __future__ import annotations

import functools
import operator
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Item = Mapping[str, Mapping[str, Any]]

TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),]|[:#]?[A-Za-z_][A-Za-z0-9_]*(?:\.#?[A-Za-z_][A-Za-z0-9_]*)?)")
NO_NAMES: Mapping[str, str] = MappingProxyType({})
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# Of some six hundred, those that an attribute of this table might be named by.
RESERVED = re.compile(
    "at|connect|connection|data|date|from|group|hash|item|key|keys|member|name|order|partition|range|role|session|sort|state|"
    "status|text|time|timestamp|token|ttl|type|user|value|void",
    re.IGNORECASE,
)


class ExpressionError(ValueError):
    """DynamoDB would answer with a ValidationException."""


def holds(
    expression: str,
    values: Mapping[str, Mapping[str, Any]],
    item: Item | None,
    names: Mapping[str, str] = NO_NAMES,
) -> bool:
    """Tell whether an item, or ``None`` for none, meets a condition.

    Args:
        expression: Condition, filter or key condition.
        values: ``ExpressionAttributeValues``.
        item: The item, by attribute.
        names: ``ExpressionAttributeNames``.

    Raises:
        ExpressionError: DynamoDB would not take it.
    """
    return _Condition(expression, values, item or {}, names).evaluate()


def updated(
    expression: str,
    values: Mapping[str, Mapping[str, Any]],
    item: Item,
    names: Mapping[str, str] = NO_NAMES,
) -> dict[str, Mapping[str, Any]]:
    """The item after an update of the form ``SET a = :v, b = b + :w, c.#d = if_not_exists(c.#d, :x) - :y REMOVE e.#f``.

    Raises:
        ExpressionError: DynamoDB would not take it.
    """
    settings, removals = _parts(expression)
    result: dict[str, Any] = {name: {"M": {**value["M"]}} if "M" in value else value for name, value in item.items()}
    for path, operands in settings:
        place, name = _place(path, result, names)
        place[name] = _evaluated(operands, values, item, names)
    for path in removals:
        place, name = _place(path, result, names)
        place.pop(name, None)
    return result


@functools.cache
def _parts(expression: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The paths that an update sets, each with its operands, and those that it removes."""
    form = re.fullmatch(r"SET (.+?)(?: REMOVE (.+))?", expression)
    if form is None:
        raise ExpressionError(f"no update: {expression!r}")
    settings = [part.partition("=") for part in re.split(r",(?![^(]*\))", form[1])]
    removals = [path.strip() for path in form[2].split(",")] if form[2] else []
    return [(path.strip(), operands.strip()) for path, _, operands in settings], removals


def _place(path: str, item: dict[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """The map that a path ends in, and the name there."""
    first, _, second = path.partition(".")
    name = _name(first, names)
    if not second:
        return item, name
    if "M" not in item.get(name, {}):
        raise ExpressionError("the document path provided in the update expression is invalid for update")
    return item[name]["M"], _name(second, names)


def _name(word: str, names: Mapping[str, str]) -> str:
    if not word.startswith("#"):
        return _checked(word)
    if word not in names:
        raise ExpressionError(f"{word} has no name")
    return names[word]


def _evaluated(
    operands: str, values: Mapping[str, Mapping[str, Any]], item: Item, names: Mapping[str, str]
) -> Mapping[str, Any]:
    alone, match = _forms(operands)
    if alone is not None and alone[2] in values:
        return item.get(_name(alone[1], names), values[alone[2]])
    if match is None or not {each for each in (match[2], match[5]) if each} <= set(values):
        raise ExpressionError(f"no update: {operands!r}")
    value = values[match[5]]
    if not match[4]:
        return value
    first = item.get(_name(match[1] or match[3], names), values[match[2]] if match[2] else None)
    if first is None:
        raise ExpressionError("the expression refers to an attribute that does not exist")
    sign = 1 if match[4] == "+" else -1
    return {"N": str(int(first["N"]) + sign * int(value["N"]))}


@functools.cache
def _forms(operands: str) -> tuple[re.Match[str] | None, re.Match[str] | None]:
    """The operands as ``if_not_exists`` alone, or as a value that may be added to another one."""
    return (
        re.fullmatch(r"if_not_exists\((\S+), (:\w+)\)", operands),
        re.fullmatch(r"(?:(?:if_not_exists\((\S+), (:\w+)\)|(\w+)) ([+-]) )?(:\w+)", operands),
    )


def attributes(expression: str) -> set[str]:
    """Return the attributes that a projection names."""
    return {_checked(name.strip()) for name in expression.split(",")}


@functools.cache
def _checked(name: str) -> str:
    if not NAME.fullmatch(name) or RESERVED.fullmatch(name):
        raise ExpressionError(f"{name!r} cannot name an attribute in an expression")
    return name


@functools.cache
def _tokens(expression: str) -> Sequence[str]:
    tokens = TOKEN.findall(expression)
    if "".join(tokens) != re.sub(r"\s", "", expression):
        raise ExpressionError(f"no expression: {expression!r}")
    return tuple(tokens)


class _Condition:
    """A recursive descent through the tokens; every part is evaluated, also where the result is known already."""

    def __init__(
        self, expression: str, values: Mapping[str, Mapping[str, Any]], item: Item, names: Mapping[str, str]
    ) -> None:
        tokens = _tokens(expression)
        unused = set(values).difference(tokens)
        if unused:
            raise ExpressionError(f"values that the expression does not use: {sorted(unused)}")
        self._tokens = [*tokens, ""]
        self._values = values
        self._item = item
        self._names = names

    def evaluate(self) -> bool:
        result = self._any()
        if self._tokens != [""]:
            raise ExpressionError(f"what does this mean: {self._tokens}")
        return result

    def _next(self, wanted: str = "") -> str:
        token: str = self._tokens.pop(0)
        if not token or (wanted and token != wanted):
            raise ExpressionError(f"{token!r} instead of {wanted or 'more'!r}")
        return token

    def _any(self) -> bool:
        results = [self._all()]
        while self._tokens[0] == "OR":
            self._next()
            results.append(self._all())
        return any(results)

    def _all(self) -> bool:
        results = [self._one()]
        while self._tokens[0] == "AND":
            self._next()
            results.append(self._one())
        return all(results)

    def _one(self) -> bool:
        token = self._next()
        if token == "NOT":
            return not self._one()
        if token == "(":
            result = self._any()
            self._next(")")
            return result
        if token in {"attribute_exists", "attribute_not_exists"}:
            self._next("(")
            there = _checked(self._next()) in self._item
            self._next(")")
            return there == (token == "attribute_exists")
        if token == "size":
            return self._size()
        comparison = self._next()
        if comparison == "BETWEEN":
            value, low, _, high = (
                self._operand(token),
                self._operand(self._next()),
                self._next("AND"),
                self._operand(self._next()),
            )
            return _compare(">=", value, low) and _compare("<=", value, high)
        if comparison not in COMPARISONS:
            raise ExpressionError(f"{comparison!r} compares nothing")
        return _compare(comparison, self._operand(token), self._operand(self._next()))

    def _size(self) -> bool:
        """The number of entries of a map, compared; none of a missing one is true, as of DynamoDB's."""
        self._next("(")
        value = self._item.get(_checked(self._next()), {}).get("M")
        self._next(")")
        size = None if value is None else {"N": str(len(value))}
        comparison, limit = self._next(), self._operand(self._next())
        return size is not None and _compare(comparison, size, limit)

    def _operand(self, token: str) -> Mapping[str, Any] | None:
        if "." in token:
            first, second = token.split(".")
            entries: Mapping[str, Any] = self._item.get(_name(first, self._names), {}).get("M", {})
            return entries.get(_name(second, self._names))
        if not token.startswith(":"):
            return self._item.get(_name(token, self._names))
        if token not in self._values:
            raise ExpressionError(f"{token} has no value")
        return self._values[token]


def _compare(comparison: str, left: Mapping[str, Any] | None, right: Mapping[str, Any] | None) -> bool:
    """Compare two typed values; one that is missing, or of another type, is only ever different."""
    if left is None or right is None or left.keys() != right.keys():
        return comparison == "<>"
    [(kind, first)], [second] = left.items(), right.values()
    if kind == "N":
        first, second = int(first), int(second)
    return COMPARISONS[comparison](first, second)
