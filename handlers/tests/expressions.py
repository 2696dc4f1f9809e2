"""DynamoDB's expressions, as far as the connections table needs them; an invalid one is refused, as by DynamoDB.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Item = Mapping[str, Mapping[str, Any]]

TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),]|:?[A-Za-z_][A-Za-z0-9_]*)")
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
    "connect|connection|data|date|group|hash|item|key|keys|member|name|order|partition|range|role|session|sort|state|"
    "status|text|time|timestamp|token|ttl|type|user|value",
    re.IGNORECASE,
)


class ExpressionError(ValueError):
    """DynamoDB would answer with a ValidationException."""


def holds(expression: str, values: Mapping[str, Mapping[str, Any]], item: Item | None) -> bool:
    """Tell whether an item, or ``None`` for none, meets a condition.

    Args:
        expression: Condition, filter or key condition.
        values: ``ExpressionAttributeValues``.
        item: The item, by attribute.

    Raises:
        ExpressionError: DynamoDB would not take it.
    """
    return _Condition(expression, values, item or {}).evaluate()


def updated(expression: str, values: Mapping[str, Mapping[str, Any]], item: Item) -> dict[str, Mapping[str, Any]]:
    """The item after an update of the form ``SET a = :v, b = b + :w, c = c - :x``.

    Raises:
        ExpressionError: DynamoDB would not take it.
    """
    if not expression.startswith("SET "):
        raise ExpressionError(f"no update: {expression!r}")
    result = dict(item)
    used: set[str] = set()
    for part in expression.removeprefix("SET ").split(","):
        name, _, operands = part.partition("=")
        match = re.fullmatch(r"(?:(\w+) ([+-]) )?(:\w+)", operands.strip())
        if match is None or match[3] not in values:
            raise ExpressionError(f"no update: {part!r}")
        value = values[match[3]]
        used.add(match[3])
        if match[1]:
            if match[1] not in item:
                raise ExpressionError("the expression refers to an attribute that does not exist")
            number, sign = int(item[_checked(match[1])]["N"]), 1 if match[2] == "+" else -1
            value = {"N": str(number + sign * int(value["N"]))}
        result[_checked(name.strip())] = value
    return result


def attributes(expression: str) -> set[str]:
    """Return the attributes that a projection names."""
    return {_checked(name.strip()) for name in expression.split(",")}


def _checked(name: str) -> str:
    if not NAME.fullmatch(name) or RESERVED.fullmatch(name):
        raise ExpressionError(f"{name!r} cannot name an attribute in an expression")
    return name


class _Condition:
    """A recursive descent through the tokens; every part is evaluated, also where the result is known already."""

    def __init__(self, expression: str, values: Mapping[str, Mapping[str, Any]], item: Item) -> None:
        tokens = TOKEN.findall(expression)
        if "".join(tokens) != re.sub(r"\s", "", expression):
            raise ExpressionError(f"no expression: {expression!r}")
        unused = set(values) - set(tokens)
        if unused:
            raise ExpressionError(f"values that the expression does not use: {sorted(unused)}")
        self._tokens = [*tokens, ""]
        self._values = values
        self._item = item

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
        if not token.startswith(":"):
            return self._item.get(_checked(token))
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
