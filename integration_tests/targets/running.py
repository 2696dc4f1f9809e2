"""The `running` target: a stage that another process applied to an emulator, usually the stack of `make up`."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from integration_tests.targets import local
from integration_tests.targets.emulated import Emulated
from integration_tests.targets.interface import Capability, Caveat, TargetError, hidden_by_token
from scripts.local.aws import Aws
from scripts.local.deployment import access_of, read_deployment
from scripts.local.stack import DEPLOYMENT_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOYMENT = "ROOMCAST_DEPLOYMENT"
"""Environment variable with the path of a file that describes the stage; default: the stack of `make up`."""


class Running(Emulated):
    """A stage on an emulator that stays: the tests neither apply it beforehand nor remove it afterwards.

    Raises:
        TargetError: No readable file describes a stage.
    """

    name = "running"
    default_connections = 200

    def __init__(self) -> None:
        super().__init__()
        file = Path(os.environ.get(DEPLOYMENT) or DEPLOYMENT_FILE)
        try:
            self._endpoint_url, self.deployment = read_deployment(file)
        except (OSError, ValueError, TypeError) as error:
            raise TargetError("no stack is running: start one with `make up`") from error
        self.aws = Aws.of_emulator(self._endpoint_url)
        self.access = access_of(self.aws)

    def __enter__(self) -> Self:
        self.check()
        self.access.create_bucket()
        self.scratch = Path(self._undo.enter_context(TemporaryDirectory(prefix="roomcast-running-")))
        return self

    def check(self) -> None:
        """Check that the emulator answers and has the stage's table.

        Raises:
            TargetError: It does not answer, or has no such table.
        """
        try:
            self.access.aws.dynamodb.describe_table(TableName=self.deployment.outputs["connections_table_name"])
        except (BotoCoreError, ClientError) as error:
            raise TargetError(
                f"the stack at {self._endpoint_url} does not answer: start it again with `make up` ({error})"
            ) from error

    def lacks(self) -> Mapping[Capability | Caveat, str]:
        """Return the limits of every emulator, and the functions' processes, which belong to another process."""
        return {**LACKS, **hidden_by_token()}


LACKS: Mapping[Capability | Caveat, str] = {
    **local.LACKS,
    Capability.DEATHS: "The functions' processes belong to the emulator of `make up`.",
}
