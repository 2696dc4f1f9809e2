"""Decide which fault strikes which request, without any input or output.

The faults are Toxiproxy's (https://github.com/Shopify/toxiproxy#toxics), with AWS's error answers added. A fault
strikes ``before`` the request reaches AWS, or ``after`` AWS has done the work, so that its answer is lost or replaced.
Only the latter can make a correct sender repeat work that was already done.
"""

from __future__ import annotations

import json
import random
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WHEN = ("before", "after")
SERVICES = ("management", "dynamodb", "sqs")


class RuleError(ValueError):
    """A rule makes no sense; the message names the rule, the field and its allowed values."""


def _check(holds: bool, sentence: str) -> None:
    if not holds:
        raise RuleError(sentence)


@dataclass(frozen=True)
class Request:
    """The parts of a request that rules look at.

    Attributes:
        service: ``management`` (the ``@connections`` API), ``dynamodb``, ``sqs``, or empty for any other.
        operation: AWS's name: ``PostToConnection``, ``Query``, ``SendMessage`` ...
        connection_id: Of a management call, decoded; else empty.
    """

    service: str = ""
    operation: str = ""
    connection_id: str = ""

    @classmethod
    def read(cls, method: str, path: str, headers: Mapping[str, str]) -> Request:
        """Find service and operation in a request's first line and its headers (names in lower case)."""
        _, found, connection_id = unquote(path.partition("?")[0]).rpartition("/@connections/")
        if found:
            verb = {"POST": "PostTo", "GET": "Get", "DELETE": "Delete"}.get(method, method)
            return cls("management", f"{verb}Connection", connection_id)
        target, _, operation = headers.get("x-amz-target", "").partition(".")
        service = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs"}.get(target, "")
        return cls(service, operation if service else "")


@dataclass(frozen=True)
class Fault:
    """The fate of a struck request; each kind is one of the classes below."""

    kind: ClassVar[str]
    only_after: ClassVar[bool] = False
    """Whether the fault is about the answer, so that the request always reaches AWS first."""

    @staticmethod
    def read(description: Mapping[str, Any]) -> Fault:
        """Build a fault from ``{"kind": ..., <field>: ...}``.

        Raises:
            RuleError: No such kind, or fields that the kind does not have.
        """
        wanted = dict(description)
        kind = KINDS.get(wanted.pop("kind", ""))
        if kind is None:
            raise RuleError(f"fault {description!r}: kind must be one of {', '.join(KINDS)}")
        return _build(kind, wanted, f"fault {kind.kind}")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, which :meth:`read` takes."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Status(Fault):
    """AWS's error answer.

    Attributes:
        status: HTTP status, 400 to 599.
        error: AWS's name of the error; empty: the service's usual one for the status.
    """

    kind = "status"
    status: int
    error: str = ""

    def __post_init__(self) -> None:
        _check(400 <= self.status <= 599, "fault status: status must be from 400 to 599")

    def name_for(self, service: str) -> str:
        """Return the error's name: the given one, or the service's usual one for this status."""
        usual = ERRORS.get(service, {}).get(self.status, "InternalFailure" if self.status >= 500 else "BadRequest")
        return self.error or usual


@dataclass(frozen=True)
class Latency(Fault):
    """The request (before) or its answer (after) is held back for ``seconds`` plus or minus up to ``jitter``."""

    kind = "latency"
    seconds: float
    jitter: float = 0.0

    def __post_init__(self) -> None:
        _check(
            self.seconds >= self.jitter >= 0, "fault latency: seconds and jitter must satisfy seconds >= jitter >= 0"
        )


@dataclass(frozen=True)
class Reset(Fault):
    """The connection is reset (TCP RST): before the request is passed on, or instead of the answer."""

    kind = "reset"


@dataclass(frozen=True)
class Timeout(Fault):
    """No answer; the connection is closed after ``seconds``, or stays silent until the client gives up if 0."""

    kind = "timeout"
    seconds: float = 0.0

    def __post_init__(self) -> None:
        _check(self.seconds >= 0, "fault timeout: seconds must not be negative")


@dataclass(frozen=True)
class SlowClose(Fault):
    """The answer comes whole; then the connection looks alive, answers nothing more and closes after ``seconds``."""

    kind = "slow_close"
    only_after = True
    seconds: float

    def __post_init__(self) -> None:
        _check(self.seconds > 0, "fault slow_close: seconds must be greater than 0")


@dataclass(frozen=True)
class Sliced(Fault):
    """The answer comes in pieces of ``size`` bytes, ``delay`` seconds apart."""

    kind = "sliced"
    only_after = True
    size: int = 1
    delay: float = 0.001

    def __post_init__(self) -> None:
        _check(self.size > 0 and self.delay >= 0, "fault sliced: size must be at least 1 and delay not negative")


@dataclass(frozen=True)
class LimitData(Fault):
    """The answer, its head included, is cut off after ``size`` bytes and the connection closed."""

    kind = "limit_data"
    only_after = True
    size: int

    def __post_init__(self) -> None:
        _check(self.size >= 0, "fault limit_data: size must not be negative")


KINDS: dict[str, type[Fault]] = {
    kind.kind: kind for kind in (Status, Latency, Reset, Timeout, SlowClose, Sliced, LimitData)
}
ERRORS = {
    "management": {
        400: "BadRequestException",
        403: "ForbiddenException",
        410: "GoneException",
        413: "PayloadTooLargeException",
        429: "LimitExceededException",
        500: "InternalServerErrorException",
        503: "ServiceUnavailableException",
    },
    "dynamodb": {
        400: "ProvisionedThroughputExceededException",
        500: "InternalServerError",
        503: "ServiceUnavailable",
    },
    "sqs": {400: "RequestThrottled", 500: "InternalFailure", 503: "ServiceUnavailable"},
}
"""The usual error of each service by HTTP status. DynamoDB and SQS throttle with 400, @connections with 429."""


@dataclass(frozen=True)
class Rule:
    """One fault and the requests it strikes; an empty string matches everything.

    Attributes:
        name: Its name in reports; unique among the rules in force.
        fault: The fault.
        when: ``before`` the request reaches AWS, or ``after``. Faults of the answer are always ``after``.
        service: ``management``, ``dynamodb`` or ``sqs``.
        operation: AWS's name of the operation.
        connection_id: Connection of a management call.
        rate: Probability (0 to 1) that a matching request is struck.
        limit: Strikes after which the rule rests; 0 means none.
    """

    name: str
    fault: Fault
    when: str = "before"
    service: str = ""
    operation: str = ""
    connection_id: str = ""
    rate: float = 1.0
    limit: int = 0

    def __post_init__(self) -> None:
        _check(self.when in WHEN, f"rule {self.name}: when must be one of {', '.join(WHEN)}")
        _check(
            self.when == "after" or not self.fault.only_after,
            f'rule {self.name}: {self.fault.kind} is about the answer; write "when": "after"',
        )
        _check(
            self.service in ("", *SERVICES), f"rule {self.name}: service must be empty or one of {', '.join(SERVICES)}"
        )
        _check(0 <= self.rate <= 1, f"rule {self.name}: rate must be from 0 to 1")
        _check(self.limit >= 0, f"rule {self.name}: limit must not be negative")

    def matches(self, request: Request) -> bool:
        """Whether the rule is about requests like this one."""
        return all(
            wanted in ("", actual)
            for wanted, actual in (
                (self.service, request.service),
                (self.operation, request.operation),
                (self.connection_id, request.connection_id),
            )
        )

    @staticmethod
    def read(description: Mapping[str, Any]) -> Rule:
        """Build a rule from its JSON form, the fields above with ``fault`` as :meth:`Fault.read` has it.

        Raises:
            RuleError: A field is unknown, missing or out of range.
        """
        wanted = dict(description)
        wanted["fault"] = Fault.read(wanted.get("fault", {}))
        return _build(Rule, wanted, f"rule {description.get('name', 'without a name')}")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, which :meth:`read` takes."""
        return {**asdict(self), "fault": self.fault.to_json()}

    def __str__(self) -> str:
        """Return the name and all fields that differ from their defaults."""
        details = [*_unusual(self.fault), *_unusual(self, "name", "fault", "when")]
        return f"{self.name} ({', '.join([f'{self.fault.kind} {self.when}', *details])})"


@dataclass(frozen=True)
class FaultPlan:
    """The rules of a run.

    Attributes:
        rules: In the order in which they are tried; the first that strikes takes the request.
        seed: Of the dice; the same seed and the same order of requests strike the same requests.

    Raises:
        RuleError: Two rules have the same name.
    """

    rules: tuple[Rule, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        _check(len({rule.name for rule in self.rules}) == len(self.rules), "each rule needs a name of its own")

    @staticmethod
    def loads(text: str | bytes) -> FaultPlan:
        """Build a plan from JSON: ``{"seed": 7, "rules": [...]}``, its rules as :meth:`Rule.read` has them.

        Raises:
            RuleError: The text is no such JSON, a rule makes no sense, or two rules have the same name.
        """
        try:
            description = json.loads(text)
            rules, seed = tuple(map(Rule.read, description["rules"])), int(description.get("seed", 0))
        except RuleError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RuleError('expected a JSON object {"seed": <number>, "rules": [<rule>, ...]}') from error
        return FaultPlan(rules, seed)

    def dumps(self) -> str:
        """Return the JSON form, which :meth:`loads` takes."""
        return json.dumps({"seed": self.seed, "rules": [rule.to_json() for rule in self.rules]})

    def __str__(self) -> str:
        """Name all rules."""
        return "; ".join(map(str, self.rules))


NO_FAULTS = FaultPlan()


@dataclass(frozen=True)
class Count:
    """The requests that a rule has matched so far, and those of them that it struck."""

    rule: str
    fault: str
    when: str
    matched: int
    struck: int


class RuleBook:
    """The rules in force, with their counts.

    Args:
        rules: In the order in which they are tried, with names of their own.
        seed: Of the dice.

    Raises:
        RuleError: Two rules have the same name.
    """

    def __init__(self, rules: Sequence[Rule] = (), seed: int = 0) -> None:
        self.rules = FaultPlan(tuple(rules), seed).rules
        self.dice = random.Random(seed)  # noqa: S311 - chance must be repeatable here
        self._matched = [0] * len(rules)
        self._struck = [0] * len(rules)

    def strike(self, request: Request) -> Rule | None:
        """Return the rule that strikes this request, if one does, and count it."""
        for number, rule in enumerate(self.rules):
            if not rule.matches(request):
                continue
            self._matched[number] += 1
            rests = 0 < rule.limit <= self._struck[number]
            if not rests and self.dice.random() < rule.rate:
                self._struck[number] += 1
                return rule
        return None

    def counts(self) -> list[Count]:
        """Return matches and strikes of each rule so far."""
        return [
            Count(rule.name, rule.fault.kind, rule.when, matched, struck)
            for rule, matched, struck in zip(self.rules, self._matched, self._struck, strict=True)
        ]


T = TypeVar("T", Fault, Rule)


def _build(kind: type[T], wanted: Mapping[str, Any], what: str) -> T:
    allowed = {each.name: each for each in fields(kind)}
    if unknown := wanted.keys() - allowed.keys():
        raise RuleError(f"{what}: unknown field {', '.join(sorted(unknown))}; allowed are {', '.join(allowed)}")
    missing = {name for name, each in allowed.items() if each.default is MISSING and name not in wanted}
    if missing:
        raise RuleError(f"{what}: {', '.join(sorted(missing))} must be given")
    try:
        return kind(**wanted)
    except TypeError as error:
        raise RuleError(f"{what}: a field has a wrong type ({error})") from None


def _unusual(each: Fault | Rule, *but: str) -> list[str]:
    """Return name and value of the fields that differ from their defaults, apart from some."""
    values = {field.name: getattr(each, field.name) for field in fields(each) if field.name not in but}
    usual = {field.name: field.default for field in fields(each)}
    return [f"{name} {value}" for name, value in values.items() if value != usual[name]]
