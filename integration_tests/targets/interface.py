"""The interface of all targets. It hides every difference between them from the tests."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from integration_tests.harness import credentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import TracebackType

    from scripts.local.aws import Aws
    from scripts.local.deployment import Deployment
    from scripts.terraform import Plan


class TargetError(Exception):
    """A target cannot be used; the message gives the reason and a remedy."""


class Capability(enum.Enum):
    """Something that some targets show and others do not, in the words of the value; tests require each of them."""

    TABLE = "the items in the connections table"
    COUNTED_RECEIPTS = "receipts that say how many members a message has reached"
    DEPLOYMENT = "effects of applying Terraform: routes added while clients talk, a second instance, destroy"
    HANDSHAKE_STATUS = "the HTTP status of a refused handshake"
    SIZE_LIMITS = "32 KB per frame, 128 KB per message, no binary frames, each with its close code"
    DEATHS = "a function that dies in the middle of its work"
    LOGS = "the functions' output, in their log groups"
    ANY_HANDSHAKE = "handshakes with tokens, headers and subprotocols of all kinds, and with none"
    METRICS = "the metrics that CloudWatch is given by other services"
    ACCESS_LOG = "the access logs that CloudWatch is given by API Gateway"


class Caveat(enum.Enum):
    """Something that no test requires although the meaning of a green run depends on it, in the words of the value."""

    TIME_LIMITS = "the end of a connection after 10 idle minutes or 2 hours"
    PERMISSIONS = "that every function has the rights it needs, and that others are refused"
    QUOTAS = "429 once the account's quotas for requests and new connections are used up"
    RUNTIME = "Lambda's own Python build, processor, memory limit and freezing between invocations"
    EXPIRY = "the pace at which DynamoDB deletes expired items"
    SPEED = "latency and throughput that users will see"


WITH_A_TOKEN: Mapping[Capability | Caveat, str] = {
    Capability.ANY_HANDSHAKE: f"Each handshake carries the token of {credentials.TOKEN}, and a stage refuses two.",
}


def hidden_by_token() -> Mapping[Capability | Caveat, str]:
    """Return the capabilities that a stage does not show whose clients need a token, each with the reason."""
    return WITH_A_TOKEN if credentials.are_lent() else {}


class Target(ABC):
    """A place where Roomcast runs. A context manager: it creates its resources on entry and removes them on exit."""

    name: ClassVar[str]
    default_connections: ClassVar[int]
    """Sockets that one test may open at once by default."""

    owns_table: ClassVar[bool] = False
    """Whether only the tests use the connections table, so that it must be empty in the end."""

    aws: Aws | None = None
    deployment: Deployment
    failed: bool = False
    """Whether a test failed; set before the target is left, which then keeps its logs."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def lacks(self) -> Mapping[Capability | Caveat, str]:
        """Return the capabilities and caveats that this target cannot show, each with the reason as a sentence."""

    def check(self) -> None:  # noqa: B027 - a target that the tests set up themselves needs no look beforehand
        """Check before the first test that this target can be tested.

        Raises:
            TargetError: It cannot.
        """

    def deploy(self, name: str, **variables: Any) -> AbstractContextManager[Changeable]:  # noqa: ANN401 - Terraform
        """Apply another instance of the root, destroyed when the context ends.

        Args:
            name: Prefix of everything the instance creates; another one than the target's own.
            **variables: Further variables of the root.

        Raises:
            TargetError: The target is a stage in use, which tests never change.
        """
        raise TargetError(f"{name} with {variables} is not deployed: {self.lacks()[Capability.DEPLOYMENT]}")

    def deploy_to_stay(self, name: str, **variables: Any) -> Deployment:  # noqa: ANN401 - Terraform
        """Apply another instance of the root that stays until the target is left; may run in a thread of its own.

        Arguments and errors as :meth:`deploy` has them.
        """
        raise TargetError(f"{name} with {variables} is not deployed: {self.lacks()[Capability.DEPLOYMENT]}")

    def kill(self, function_name: str) -> int:
        """Kill every process that a function runs in, without warning; return how many there were.

        Raises:
            TargetError: The target cannot kill them.
        """
        raise TargetError(f"{function_name} is not killed: {self.lacks()[Capability.DEATHS]}")

    def files(self) -> Sequence[Path]:
        """Return the files on this machine that the target's processes write to."""
        return ()

    def failure_report(self) -> str:
        """Return text that helps to explain a failed test, or nothing."""
        return ""


class Changeable(Protocol):
    """An instance of the root that a test may change."""

    def deployment(self) -> Deployment:
        """Return the current URLs and outputs of the instance."""

    def apply(self, **variables: Any) -> Deployment:  # noqa: ANN401 - any Terraform value
        """Apply again with changed variables; return the new URLs and outputs."""

    def plan(self) -> Plan:
        """Compare the instance with its configuration."""
