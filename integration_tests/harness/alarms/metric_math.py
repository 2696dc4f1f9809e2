"""Metric math: the part that alarms of the backend use, with CloudWatch's treatment of missing data.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import operator
import re
from functools import partial, reduce
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Series: TypeAlias = "dict[int, float]"
"""Values by the Unix time, in seconds, at which their period begins."""
Value: TypeAlias = "float | Series | list[Series]"

IN_PYTHON = {"AND": " and ", "&&": " and ", "OR": " or ", "||": " or ", "^": "**"}
"""Operators that Python spells otherwise; all others have its precedence, too."""
OPERATORS: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.And: lambda one, other: bool(one) and bool(other),
    ast.Or: lambda one, other: bool(one) or bool(other),
}


def evaluate(expression: str, metrics: Mapping[str, Series], times: Sequence[int]) -> Series:
    """Return the time series of an expression.

    Args:
        expression: As in an alarm.
        metrics: Values of the metrics by their ids.
        times: Beginnings of all periods asked for, which ``FILL`` fills.

    Raises:
        ValueError: The expression is none, has a part that is not emulated, or gives no time series.
    """
    in_python = re.sub(r"\bAND\b|\bOR\b|&&|\|\||\^", lambda match: IN_PYTHON[match[0]], expression)
    try:
        value = _Evaluation(metrics, times).of(ast.parse(in_python.strip(), mode="eval").body)
    except (SyntaxError, KeyError, TypeError) as error:
        raise ValueError(f"{expression!r} is not understood: {error!r}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{expression!r} gives no time series, which CloudWatch refuses")  # noqa: TRY004 - its value
    return value


class _Evaluation:
    def __init__(self, metrics: Mapping[str, Series], times: Sequence[int]) -> None:
        self.metrics = metrics
        self.times = times

    def of(self, node: ast.expr) -> Value:
        """Return the value of a part of the expression."""
        match node:
            case ast.Constant(value=int() | float() as number):
                value: Value = float(number)
            case ast.Name(id=name):
                value = self.metrics[name]
            case ast.List(elts=items):
                value = [cast("Series", self.of(item)) for item in items]
            case ast.Call(func=ast.Name(id=name), args=arguments):
                value = self._called(name, [self.of(argument) for argument in arguments])
            case _:
                value = self._operated(node)
        return value

    def _operated(self, node: ast.expr) -> Value:
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return combined(operator.sub, 0.0, self.of(operand))
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                return combined(OPERATORS[type(op)], self.of(left), self.of(right))
            case ast.BoolOp(op=op, values=operands):
                return reduce(partial(combined, OPERATORS[type(op)]), map(self.of, operands))
        raise KeyError(ast.unparse(node))

    def _called(self, function: str, arguments: Sequence[Value]) -> Value:
        match function, arguments:
            case "SUM", [list() as several]:
                return total(several)
            case "FILL", [dict() as series, float() as filler]:
                return {**dict.fromkeys(self.times, filler), **series}
            case "IF", [dict() as condition, of_true]:
                return chosen(condition, of_true)
            case "IF", [dict() as condition, of_true, of_false]:
                return chosen(condition, of_true, of_false)
        raise KeyError(function)


def combined(of_two: Callable[[float, float], float], one: Value, other: Value) -> Value:
    """Apply an operator: a value that one of two series lacks counts as 0, and a division by 0 has no value.

    A comparison gives 1 or 0.

    Raises:
        TypeError: One of the operands is a list of series.
    """
    if isinstance(one, list) or isinstance(other, list):
        raise TypeError("operators on lists are not emulated")
    if not isinstance(one, dict) and not isinstance(other, dict):
        return float(of_two(one, other))
    result: Series = {}
    for time in _times_of(one, other):
        try:
            result[time] = float(of_two(_at(one, time), _at(other, time)))
        except ZeroDivisionError:
            continue
    return result


def total(series: Iterable[Series]) -> Series:
    """Add several series; a value that some of them lack counts as 0."""
    result: Series = {}
    for each in series:
        for time, value in each.items():
            result[time] = result.get(time, 0.0) + value
    return result


def chosen(condition: Series, of_true: Value, of_false: Value | None = None) -> Series:
    """Return ``IF``: where the condition has no value, and where it is false and there is none to take, is none."""
    result: Series = {}
    for time, is_true in condition.items():
        if is_true:
            result[time] = _at(of_true, time)
        elif of_false is not None and (not isinstance(of_false, dict) or time in of_false):
            result[time] = _at(of_false, time)
    return result


def _times_of(*operands: Value) -> list[int]:
    return sorted({time for operand in operands if isinstance(operand, dict) for time in operand})


def _at(operand: Value, time: int) -> float:
    return operand.get(time, 0.0) if isinstance(operand, dict) else cast("float", operand)
