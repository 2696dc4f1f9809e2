"""The `running` target: a stage that another process applied to an emulator, usually the stack of `make up`."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from integration_tests.targets import local
from integration_tests.targets.interface import Capability, Caveat, Target, TargetError
from scripts.local.aws import Aws
from scripts.local.deployment import AppliedRoot, access_of, applied, read_deployment
from scripts.local.stack import DEPLOYMENT_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from scripts.local.deployment import Deployment

DEPLOYMENT = "ROOMCAST_DEPLOYMENT"
"""Environment variable with the path of a file that describes the stage; default: the stack of `make up`."""


class Running(Target):
    """A stage on an emulator that stays: the tests neither apply it beforehand nor remove it afterwards.

    Raises:
        TargetError: No readable file describes a stage.
    """

    name = "running"
    default_connections = 200

    def __init__(self) -> None:
        file = Path(os.environ.get(DEPLOYMENT) or DEPLOYMENT_FILE)
        try:
            self._endpoint_url, self.deployment = read_deployment(file)
        except (OSError, ValueError, TypeError) as error:
            raise TargetError("no stack is running: start one with `make up`") from error
        self.aws = Aws.of_emulator(self._endpoint_url)
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        self.check()
        self._scratch = Path(self._undo.enter_context(TemporaryDirectory(prefix="roomcast-running-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def check(self) -> None:
        """Check that the emulator answers and has the stage's table.

        Raises:
            TargetError: It does not answer, or has no such table.
        """
        assert self.aws is not None
        try:
            self.aws.dynamodb.describe_table(TableName=self.deployment.outputs["connections_table_name"])
        except (BotoCoreError, ClientError) as error:
            raise TargetError(
                f"the stack at {self._endpoint_url} does not answer: start it again with `make up` ({error})"
            ) from error

    def lacks(self) -> Mapping[Capability | Caveat, str]:
        """Return the limits of every emulator, and the functions' processes, which belong to another process."""
        return LACKS

    @contextmanager
    def deploy(self, name: str, **variables: Any) -> Iterator[AppliedRoot]:  # noqa: ANN401 - any Terraform value
        """Apply another instance of the root for the length of the context."""
        with applied(self._instance(name, variables)) as instance:
            yield instance

    def deploy_to_stay(self, name: str, **variables: Any) -> Deployment:  # noqa: ANN401 - any Terraform value
        """Apply another instance of the root until the target is left."""
        return self._undo.enter_context(applied(self._instance(name, variables))).deployment()

    def _instance(self, name: str, variables: dict[str, Any]) -> AppliedRoot:
        assert self.aws is not None
        access = access_of(self.aws)
        access.create_bucket()
        return AppliedRoot(access, self._scratch / name, {"name": name, **variables})


LACKS: Mapping[Capability | Caveat, str] = {
    **local.LACKS,
    Capability.DEATHS: "The functions' processes belong to the emulator of `make up`.",
}
