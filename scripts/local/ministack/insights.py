"""Queries of CloudWatch Logs Insights: a grammar for the part of the language that Roomcast's queries use.

``fields``, ``filter``, ``stats``, ``sort`` and ``limit``, each as its page under
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html has it. Whatever else a query says is an
error, so that none seems to work here and is refused on AWS, or is answered without its condition.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Value = float | str | None
    Row = Mapping[str, Value]
    OfRow = Callable[[Row], Value]
    OfRows = Callable[[Sequence[Row]], Value]
    Condition = Callable[[Row], bool]
    Command = Callable[[list[Row]], list[Row]]

TIMESTAMP = "@timestamp"
ALWAYS = "@ptr"
"""A column of each row that stands for one line."""
SHOWN = (TIMESTAMP, "@message")
"""Columns of a query that names none."""
PERIODS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[0-9]+(?:\.[0-9]+)?(?:e[0-9]+)?)(?P<period>[smhd]\b)?
    | (?P<name>[@A-Za-z_][\w.]*)
    | "(?P<double>(?:\\.|[^"\\])*)" | '(?P<single>(?:\\.|[^'\\])*)'
    | (?P<sign>!=|<=|>=|[=<>|,()*/+-])
    )""",
    re.VERBOSE,
)
PATTERN = re.compile(r"\s*/((?:\\.|[^/\\])*)/(i?)")
"""A regular expression, which stands behind ``like`` alone; elsewhere a slash divides."""

OF_REPORT = {
    "@duration": (r"\tDuration: ([0-9.]+) ms", 1),
    "@billedDuration": (r"Billed Duration: ([0-9.]+) ms", 1),
    "@memorySize": (r"Memory Size: ([0-9]+) MB", 1_000_000),
    "@maxMemoryUsed": (r"Max Memory Used: ([0-9]+) MB", 1_000_000),
    "@initDuration": (r"Init Duration: ([0-9.]+) ms", 1),
}
"""Fields of a ``REPORT`` by their pattern and factor.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html"""


class Moment(float):
    """Milliseconds since 1970, which an answer has as a date and a time."""


class QueryError(ValueError):
    """A query that is none, or that this subset has not; the message names the place."""


def fields_of(message: str) -> dict[str, Value]:
    """Return the fields that Insights discovers in a line: those of JSON, and of Lambda's own lines."""
    if message.startswith("{"):
        try:
            return dict(_flat(json.loads(message)))
        except ValueError:
            return {}
    own = re.match(r"(START|END|REPORT) RequestId: (\S+)", message)
    if own is None:
        return {}
    found: dict[str, Value] = {"@type": own[1], "@requestId": own[2]}
    if own[1] == "REPORT":
        for name, (pattern, factor) in OF_REPORT.items():
            if match := re.search(pattern, message):
                found[name] = float(match[1]) * factor
    return found


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Value]]:  # noqa: ANN401 - JSON
    """Yield fields with their dotted names."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(each, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, float(value) if isinstance(value, bool | int | float) else str(value)


@dataclass(frozen=True)
class Query:
    """A query.

    Attributes:
        commands: Of the pipe, each of which makes rows of rows.
        columns: Those that are shown, if the query names any.
        counts: Whether its rows stand for groups of lines.
        named: The fields of lines that the query names.
    """

    commands: Sequence[Command]
    columns: Sequence[tuple[str, OfRow]]
    counts: bool
    named: frozenset[str]

    def run(self, lines: Iterable[Row]) -> list[dict[str, str]]:
        """Return the query's rows, of lines with a ``Moment`` as ``@timestamp``, ``@message``, ``@log`` and ``@ptr``.

        What a line does not have is not in its row.
        """
        rows: list[Row] = list(lines)
        for command in self.commands:
            rows = command(rows)
        if self.counts:
            return [_texts(row) for row in rows]
        return [_texts({name: value(row) for name, value in self.columns} | {ALWAYS: row[ALWAYS]}) for row in rows]


def _texts(row: Row) -> dict[str, str]:
    return {name: text(value) for name, value in row.items() if value is not None}


def text(value: float | str) -> str:
    """Return a value as an answer has it: a time without its zone, a number with at most four decimals."""
    if isinstance(value, str):
        return value
    if isinstance(value, Moment):
        return datetime.fromtimestamp(value / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return f"{value:.4f}".rstrip("0").rstrip(".")


def parse(query: str) -> Query:
    """Read a query.

    Raises:
        QueryError: It is none, or says something that this subset has not.
    """
    return _Parser(query).query()


class _Parser:
    """Reads a query from left to right."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._at = 0
        self._columns: list[tuple[str, OfRow]] = []
        self._counts = False
        self._named: set[str] = set()
        self._aliases: set[str] = set()

    # Tokens

    def _peek(self) -> re.Match[str] | None:
        return TOKEN.match(self._query, self._at)

    def _take(self, *wanted: str) -> str | None:
        """Take a sign or a word if it is one of these; words are written in any case."""
        match = self._peek()
        if match is None or (found := (match["sign"] or match["name"] or "").lower()) not in wanted:
            return None
        self._at = match.end()
        return found

    def _need(self, *wanted: str) -> str:
        found = self._take(*wanted)
        if found is None:
            raise self._error(f"expected {' or '.join(wanted)}")
        return found

    def _name(self) -> str:
        match = self._peek()
        if match is None or not match["name"]:
            raise self._error("expected a name")
        self._at = match.end()
        return match["name"]

    def _field(self) -> str:
        name = self._name()
        if name not in self._aliases:
            self._named.add(name)
        return name

    def _error(self, why: str) -> QueryError:
        rest = self._query[self._at :].strip()
        return QueryError(f"{why} at {rest[:40]!r}" if rest else f"{why} at the end")

    # Commands

    def query(self) -> Query:
        commands = [self._command()]
        while self._take("|"):
            commands.append(self._command())
        if self._query[self._at :].strip():
            raise self._error("expected | or the end")
        columns = self._columns or [(name, _column(name)) for name in SHOWN]
        return Query(commands, columns, self._counts, frozenset(self._named))

    def _command(self) -> Command:
        command = self._need("fields", "filter", "stats", "sort", "limit")
        return {
            "fields": self._fields,
            "filter": self._filter,
            "stats": self._stats,
            "sort": self._sort,
            "limit": self._limit,
        }[command]()

    def _fields(self) -> Command:
        if self._counts:
            raise self._error("fields behind stats")
        columns = [self._with_name(self._row_value)]
        while self._take(","):
            columns.append(self._with_name(self._row_value))
        self._columns += columns
        return lambda rows: [{**row, **{name: value(row) for name, value in columns}} for row in rows]

    def _filter(self) -> Command:
        condition = self._any()
        return lambda rows: [row for row in rows if condition(row)]

    def _stats(self) -> Command:
        if self._counts:
            raise self._error("a second stats")
        values = [self._with_name(self._group_value)]
        while self._take(","):
            values.append(self._with_name(self._group_value))
        keys: list[tuple[str, OfRow]] = []
        if self._take("by"):
            keys.append(self._with_name(self._row_value))
            while self._take(","):
                keys.append(self._with_name(self._row_value))
        self._counts = True

        def command(rows: list[Row]) -> list[Row]:
            groups: defaultdict[tuple[Value, ...], list[Row]] = defaultdict(list)
            for row in rows:
                groups[tuple(key(row) for _, key in keys)].append(row)
            names = [name for name, _ in keys]
            return [
                {**dict(zip(names, group, strict=True)), **{name: value(of_group) for name, value in values}}
                for group, of_group in groups.items()
            ]

        return command

    def _sort(self) -> Command:
        name = self._field()
        falling = self._take("asc", "desc") == "desc"

        def rank(row: Row) -> tuple[int, float, str]:
            value = row.get(name)
            return (1, 0.0, value) if isinstance(value, str) else (0, -math.inf if value is None else value, "")

        return lambda rows: sorted(rows, key=rank, reverse=falling)

    def _limit(self) -> Command:
        match = self._peek()
        if match is None or not match["number"] or not match["number"].isdigit():
            raise self._error("expected a number of rows")
        self._at = match.end()
        most = int(match["number"])
        return lambda rows: rows[:most]

    def _with_name(self, read: Callable[[], Any]) -> tuple[str, Any]:
        """Read a value and its name: what stands behind ``as``, or the value's own text."""
        begin = self._at
        value = read()
        name = self._query[begin : self._at].strip()
        if self._take("as"):
            name = self._name()
        self._aliases.add(name)
        return name, value

    # Conditions

    def _any(self) -> Condition:
        conditions = [self._all()]
        while self._take("or"):
            conditions.append(self._all())
        return lambda row: any(condition(row) for condition in conditions)

    def _all(self) -> Condition:
        conditions = [self._comparison()]
        while self._take("and"):
            conditions.append(self._comparison())
        return lambda row: all(condition(row) for condition in conditions)

    def _comparison(self) -> Condition:
        if self._take("("):
            condition = self._any()
            self._need(")")
            return condition
        value = self._row_value()
        if self._take("like"):
            return self._like(value)
        compare = COMPARISONS[self._need(*COMPARISONS)]
        other = self._row_value()
        return lambda row: _compared(value(row), other(row), compare)

    def _like(self, value: OfRow) -> Condition:
        match = PATTERN.match(self._query, self._at)
        if match is None:
            raise self._error("expected /a pattern/")
        try:
            pattern = re.compile(match[1], re.IGNORECASE if match[2] else 0)
        except re.error as error:
            raise self._error(f"no pattern: {error}") from None
        self._at = match.end()
        return lambda row: (found := value(row)) is not None and pattern.search(text(found)) is not None

    # Values

    def _row_value(self) -> OfRow:
        return self._sum(self._row_term)

    def _group_value(self) -> OfRows:
        return self._sum(self._aggregate)

    def _sum(self, read: Callable[[], Callable[[Any], Value]]) -> Callable[[Any], Value]:
        """Read terms with ``+`` and ``-`` between products."""
        value = self._product(read)
        while sign := self._take("+", "-"):
            value = _calculated(sign, value, self._product(read))
        return value

    def _product(self, read: Callable[[], Callable[[Any], Value]]) -> Callable[[Any], Value]:
        value = read()
        while sign := self._take("*", "/"):
            value = _calculated(sign, value, read())
        return value

    def _constant(self) -> Callable[[Any], Value] | None:
        """Take a number or a text."""
        match = self._peek()
        if match is None or match["name"] or match["sign"] or match["period"]:
            return None
        self._at = match.end()
        quoted = match["double"] if match["double"] is not None else match["single"]
        constant: Value = float(match["number"]) if match["number"] else re.sub(r"\\(.)", r"\1", quoted)
        return lambda _: constant

    def _row_term(self) -> OfRow:
        if constant := self._constant():
            return constant
        if self._take("("):
            value = self._row_value()
            self._need(")")
            return value
        if self._calls("strlen"):
            value = self._row_value()
            self._need(")")
            return lambda row: None if (found := value(row)) is None else float(len(text(found)))
        if self._calls("bin"):
            return self._bin()
        return _column(self._field())

    def _calls(self, name: str) -> bool:
        """Take a name and the parenthesis behind it."""
        match = re.compile(rf"\s*{name}\s*\(", re.IGNORECASE).match(self._query, self._at)
        if match is not None:
            self._at = match.end()
        return match is not None

    def _bin(self) -> OfRow:
        match = self._peek()
        if match is None or not match["period"]:
            raise self._error("expected a period")
        self._at = match.end()
        milliseconds = float(match["number"]) * PERIODS[match["period"]] * 1_000
        self._need(")")
        return lambda row: Moment(float(row[TIMESTAMP] or 0) // milliseconds * milliseconds)

    def _aggregate(self) -> OfRows:
        if constant := self._constant():
            return constant
        name = self._need("count", "sum", "pct", "max", "latest")
        self._need("(")
        if name == "count" and self._take("*"):
            self._need(")")
            return lambda rows: float(len(rows))
        value = self._row_value()
        percent: Value = None
        if name == "pct":
            self._need(",")
            constant = self._constant()
            percent = constant(None) if constant else None
            if not isinstance(percent, float):
                raise self._error("expected a percentage")
        self._need(")")
        return lambda rows: _aggregated(name, rows, value, percent)


def _column(name: str) -> OfRow:
    return lambda row: row.get(name)


def _number(value: Value) -> float | None:
    """Return a value as a number, which a text of digits is, too."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _calculated(sign: str, left: Callable[[Any], Value], right: Callable[[Any], Value]) -> Callable[[Any], Value]:
    def calculate(of: Any) -> Value:  # noqa: ANN401 - a row, or rows
        first, second = _number(left(of)), _number(right(of))
        if first is None or second is None or (sign == "/" and not second):
            return None
        result: float = ARITHMETIC[sign](first, second)
        return result

    return calculate


def _compared(left: Value, right: Value, compare: Callable[[Any, Any], bool]) -> bool:
    """Compare numbers as such, and else texts; what a line does not have is equal to nothing."""
    if left is None or right is None:
        return False
    if isinstance(left, str) or isinstance(right, str):
        return compare(text(left), text(right))
    return compare(left, right)


def _aggregated(name: str, rows: Sequence[Row], of_row: OfRow, percent: Value) -> Value:
    having = [(row, value) for row in rows if (value := of_row(row)) is not None]
    if name == "count":
        return float(len(having))
    if name == "latest":
        return max(having, key=lambda each: float(each[0][TIMESTAMP] or 0))[1] if having else None
    numbers = sorted(number for _, value in having if (number := _number(value)) is not None)
    if not numbers:
        return None
    if name == "sum":
        return sum(numbers)
    if name == "max":
        return numbers[-1]
    return numbers[max(0, math.ceil(len(numbers) * float(percent or 0) / 100) - 1)]
