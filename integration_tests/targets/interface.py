"""What the tests may ask of a target. Everything that differs between targets is behind this interface."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import TracebackType

    from scripts.local.aws import Aws
    from scripts.local.deployment import Deployment
    from scripts.terraform import Plan


class TargetError(Exception):
    """A target cannot be used; the message says why and what to do."""


class Capability(enum.Enum):
    """What a target may or may not be able to show; the value says what is shown. A test requires each of them."""

    TABLE = "the items in the connections table"
    COUNTED_RECEIPTS = "receipts that say how many members a message has reached"
    DEPLOYMENT = "what applying Terraform does: routes added while clients talk, a second instance, destroy"
    HANDSHAKE_STATUS = "the HTTP status of a refused handshake"
    SIZE_LIMITS = "32 KB per frame, 128 KB per message, no binary frames, each with its close code"
    DEATHS = "a function that dies in the middle of its work"
    LOGS = "what the functions print, in their log groups"
    METRICS = "the metrics and access logs that CloudWatch is given by other services"


class Caveat(enum.Enum):
    """What no test asks for, but the meaning of a green run depends on; the value says what is shown."""

    TIME_LIMITS = "the end of a connection after 10 idle minutes or 2 hours"
    PERMISSIONS = "that every function has the rights it needs, and that others are refused"
    QUOTAS = "429 once the account's quotas for requests and new connections are used up"
    RUNTIME = "Lambda's own Python build, processor, memory limit and freezing between invocations"
    EXPIRY = "the pace at which DynamoDB deletes expired items"
    SPEED = "latency and throughput that users will see"


class Target(ABC):
    """A place where Roomcast runs. A context manager: entering makes it usable, leaving removes what it made."""

    name: ClassVar[str]
    default_connections: ClassVar[int]
    """Sockets that one test may open at once if the command line does not say."""

    owns_table: ClassVar[bool] = False
    """Whether nobody else uses the connections table, so that it must be empty in the end."""

    aws: Aws | None = None
    deployment: Deployment
    failed: bool = False
    """Set by the tests before leaving: something failed, so what helps to find out why is kept."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def lacks(self) -> Mapping[Capability | Caveat, str]:
        """Return what this target cannot show, each with the reason as a sentence."""

    def check(self) -> None:  # noqa: B027 - a target that the tests set up themselves needs no look beforehand
        """Look whether the tests can say anything about this target, before the first of them runs.

        Raises:
            TargetError: They cannot.
        """

    def deploy(self, name: str, **variables: Any) -> AbstractContextManager[Changeable]:  # noqa: ANN401 - Terraform
        """Apply another instance of the root, destroyed when the context ends.

        Args:
            name: Prefix of everything the instance creates; another one than the target's own.
            **variables: Further variables of the root.

        Raises:
            TargetError: The target is somebody's stage and never changed.
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
            TargetError: The target does not let anybody.
        """
        raise TargetError(f"{function_name} is not killed: {self.lacks()[Capability.DEATHS]}")

    def files(self) -> Sequence[Path]:
        """Return the files on this machine that the target's processes write to."""
        return ()

    def failure_report(self) -> str:
        """Return what helps to find out why a test failed, or nothing."""
        return ""


class Changeable(Protocol):
    """An instance of the root that a test may change."""

    def deployment(self) -> Deployment:
        """Return the instance as it is reached now."""

    def apply(self, **variables: Any) -> Deployment:  # noqa: ANN401 - any Terraform value
        """Apply again with changed variables and return the instance as it is reached now."""

    def plan(self) -> Plan:
        """Compare what is applied with what would be."""
