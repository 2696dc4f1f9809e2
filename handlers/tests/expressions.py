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
    Values = Mapping[str, Mapping[str, Any]]
    Condition = Callable[[Values, Item, Mapping[str, str]], bool]
    Operand = Callable[[Values, Item, Mapping[str, str]], Mapping[str, Any] | None]
    Setting = Callable[[Values, Item, Mapping[str, str]], Mapping[str, Any]]

TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),]|[:#]?[A-Za-z_][A-Za-z0-9_]*(?:\.#?[A-Za-z_][A-Za-z0-9_]*)?)")
NO_NAMES: Mapping[str, str] = MappingProxyType({})
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAXIMUM_LENGTH = 4096
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
    values: Values,
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
    condition, used = _condition(expression)
    if not values.keys() <= used:
        raise ExpressionError(f"values that the expression does not use: {sorted(values.keys() - used)}")
    return condition(values, item or {}, names)


def updated(
    expression: str,
    values: Values,
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
        place[name] = operands(values, item, names)
    for path in removals:
        place, name = _place(path, result, names)
        place.pop(name, None)
    return result


@functools.cache
def _parts(expression: str) -> tuple[list[tuple[Sequence[str], Setting]], list[Sequence[str]]]:
    """The paths that an update sets, each with its operands, and those that it removes."""
    form = re.fullmatch(r"SET (.+?)(?: REMOVE (.+))?", expression)
    if form is None or len(expression) > MAXIMUM_LENGTH:
        raise ExpressionError(f"no update: {expression!r}")
    settings = [part.partition("=") for part in re.split(r",(?![^(]*\))", form[1])]
    removals = [_path(path.strip()) for path in form[2].split(",")] if form[2] else []
    return [(_path(path.strip()), _operands(operands.strip())) for path, _, operands in settings], removals


def _path(path: str) -> Sequence[str]:
    """The steps of a document path, at most two."""
    first, _, second = path.partition(".")
    return [first, second] if second else [first]


def _place(path: Sequence[str], item: dict[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """The map that a path ends in, and the name there."""
    name = _name(path[0], names)
    if len(path) == 1:
        return item, name
    if "M" not in item.get(name, {}):
        raise ExpressionError("the document path provided in the update expression is invalid for update")
    return item[name]["M"], _name(path[1], names)


def _name(word: str, names: Mapping[str, str]) -> str:
    if not word.startswith("#"):
        return _checked(word)
    if word not in names:
        raise ExpressionError(f"{word} has no name")
    return names[word]


def _value(name: str, values: Values) -> Mapping[str, Any]:
    value = values.get(name)
    if value is None:
        raise ExpressionError(f"{name} has no value")
    return value


def _operands(text: str) -> Setting:
    """What an update sets an attribute to."""
    alone = re.fullmatch(r"if_not_exists\((\S+), (:\w+)\)", text)
    if alone is not None:
        name, default = alone.groups()
        return lambda values, item, names: item.get(_name(name, names), _value(default, values))
    form = re.fullmatch(r"(?:(?:if_not_exists\((\S+), (:\w+)\)|(\w+)) ([+-]) )?(:\w+)", text)
    if form is None:
        raise ExpressionError(f"no update: {text!r}")
    default, sign, given = form[2], form[4], form[5]
    if not sign:
        return lambda values, _item, _names: _value(given, values)
    path, factor = form[1] or form[3], 1 if sign == "+" else -1

    def add(values: Values, item: Item, names: Mapping[str, str]) -> Mapping[str, Any]:
        number = _value(given, values)["N"]
        first = item.get(_name(path, names), _value(default, values) if default else None)
        if first is None:
            raise ExpressionError("the expression refers to an attribute that does not exist")
        return {"N": str(int(first["N"]) + factor * int(number))}

    return add


@functools.cache
def attributes(expression: str) -> frozenset[str]:
    """Return the attributes that a projection names."""
    return frozenset(_checked(name.strip()) for name in expression.split(","))


@functools.cache
def _checked(name: str) -> str:
    if not NAME.fullmatch(name) or RESERVED.fullmatch(name):
        raise ExpressionError(f"{name!r} cannot name an attribute in an expression")
    return name


@functools.cache
def _condition(expression: str) -> tuple[Condition, frozenset[str]]:
    """A condition as a function, and its tokens. It is parsed once, because tests ask it many thousand times."""
    tokens = TOKEN.findall(expression)
    if "".join(tokens) != re.sub(r"\s", "", expression) or len(expression) > MAXIMUM_LENGTH:
        raise ExpressionError(f"no expression: {expression!r}")
    return _Parser(tokens).parse(), frozenset(tokens)


class _Parser:
    """A recursive descent through the tokens; every part is evaluated, also where the result is known already."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = [*tokens, ""]

    def parse(self) -> Condition:
        result = self._any()
        if self._tokens != [""]:
            raise ExpressionError(f"what does this mean: {self._tokens}")
        return result

    def _next(self, wanted: str = "") -> str:
        token: str = self._tokens.pop(0)
        if not token or (wanted and token != wanted):
            raise ExpressionError(f"{token!r} instead of {wanted or 'more'!r}")
        return token

    def _any(self) -> Condition:
        return self._several("OR", self._all, any)

    def _all(self) -> Condition:
        return self._several("AND", self._one, all)

    def _several(self, word: str, part: Callable[[], Condition], together: Callable[[list[bool]], bool]) -> Condition:
        parts = [part()]
        while self._tokens[0] == word:
            self._next()
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        return lambda values, item, names: together([each(values, item, names) for each in parts])

    def _one(self) -> Condition:
        token = self._next()
        if token == "NOT":
            inner = self._one()
            return lambda values, item, names: not inner(values, item, names)
        if token == "(":
            result = self._any()
            self._next(")")
            return result
        if token in {"attribute_exists", "attribute_not_exists"}:
            attribute, is_wanted = _attribute(self._argument()), token == "attribute_exists"
            return lambda values, item, names: (attribute(values, item, names) is not None) == is_wanted
        if token == "begins_with":
            self._next("(")
            text, _, start, _ = _operand(self._next()), self._next(","), _operand(self._next()), self._next(")")
            return lambda values, item, names: _begins(text(values, item, names), start(values, item, names))
        if token == "size":
            name = _checked(self._argument())
            compared = self._compared(_size(name), self._next())
            # None of a missing map is true, as of DynamoDB's.
            return lambda values, item, names: compared(values, item, names) and "M" in item.get(name, {})
        return self._compared(_operand(token), self._next())

    def _argument(self) -> str:
        self._next("(")
        argument = self._next()
        self._next(")")
        return argument

    def _compared(self, left: Operand, comparison: str) -> Condition:
        if comparison == "BETWEEN":
            low, _, high = _operand(self._next()), self._next("AND"), _operand(self._next())
            return lambda values, item, names: all(
                [
                    _compare(">=", left(values, item, names), low(values, item, names)),
                    _compare("<=", left(values, item, names), high(values, item, names)),
                ]
            )
        if comparison not in COMPARISONS:
            raise ExpressionError(f"{comparison!r} compares nothing")
        right = _operand(self._next())
        return lambda values, item, names: _compare(comparison, left(values, item, names), right(values, item, names))


def _begins(text: Mapping[str, Any] | None, start: Mapping[str, Any] | None) -> bool:
    return text is not None and start is not None and text["S"].startswith(start["S"])


def _size(name: str) -> Operand:
    """The number of entries of a map."""

    def size(_values: Values, item: Item, _names: Mapping[str, str]) -> Mapping[str, Any]:
        return {"N": str(len(item.get(name, {}).get("M", {})))}

    return size


def _operand(token: str) -> Operand:
    if token.startswith(":"):
        return lambda values, _item, _names: _value(token, values)
    return _attribute(token)


def _attribute(token: str) -> Operand:
    """An attribute, or an entry of a map."""
    if "." in token:
        path = _path(token)

        def entry(_values: Values, item: Item, names: Mapping[str, str]) -> Mapping[str, Any] | None:
            entries: Mapping[str, Any] = item.get(_name(path[0], names), {}).get("M", {})
            return entries.get(_name(path[1], names))

        return entry
    if token.startswith("#"):
        return lambda _values, item, names: item.get(_name(token, names))
    name = _checked(token)
    return lambda _values, item, _names: item.get(name)


def _compare(comparison: str, left: Mapping[str, Any] | None, right: Mapping[str, Any] | None) -> bool:
    """Compare two typed values; one that is missing, or of another type, is only ever different."""
    if left is None or right is None or left.keys() != right.keys():
        return comparison == "<>"
    [(kind, first)], [second] = left.items(), right.values()
    if kind == "N":
        first, second = int(first), int(second)
    return COMPARISONS[comparison](first, second)
