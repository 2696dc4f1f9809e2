"""The kinds of fault: what becomes of a request that a rule strikes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from integration_tests.harness.faults.fields import RuleError, build, check

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        return build(kind, wanted, f"fault {kind.kind}")

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
        check(400 <= self.status <= 599, "fault status: status must be from 400 to 599")

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
        check(self.seconds >= self.jitter >= 0, "fault latency: seconds and jitter must satisfy seconds >= jitter >= 0")


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
        check(self.seconds >= 0, "fault timeout: seconds must not be negative")


@dataclass(frozen=True)
class SlowClose(Fault):
    """The answer comes whole; then the connection looks alive, answers nothing more and closes after ``seconds``."""

    kind = "slow_close"
    only_after = True
    seconds: float

    def __post_init__(self) -> None:
        check(self.seconds > 0, "fault slow_close: seconds must be greater than 0")


@dataclass(frozen=True)
class Sliced(Fault):
    """The answer comes in pieces of ``size`` bytes, ``delay`` seconds apart."""

    kind = "sliced"
    only_after = True
    size: int = 1
    delay: float = 0.001

    def __post_init__(self) -> None:
        check(self.size > 0 and self.delay >= 0, "fault sliced: size must be at least 1 and delay not negative")


@dataclass(frozen=True)
class LimitData(Fault):
    """The answer, its head included, is cut off after ``size`` bytes and the connection closed."""

    kind = "limit_data"
    only_after = True
    size: int

    def __post_init__(self) -> None:
        check(self.size >= 0, "fault limit_data: size must not be negative")


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
