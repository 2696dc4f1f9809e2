"""An instance whose functions are exchanged for a mutant's within a second, and the tests run against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integration_tests.faults.detour import wait_until_updated
from integration_tests.harness.deadlines import scaled
from integration_tests.mutants.patching import REPOSITORY
from integration_tests.mutants.runs import Results, run_tests
from integration_tests.mutants.specimen import DESCRIPTION, Specimen, describe
from scripts.build_handlers import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from integration_tests.targets.aws import Aws
    from integration_tests.targets.interface import Deployment


class Laboratory:
    """Exchanges the functions of an instance and runs tests against it.

    Args:
        aws: Access to the emulated account.
        deployment: The instance, used by nobody else.
    """

    def __init__(self, aws: Aws, deployment: Deployment) -> None:
        self._aws = aws
        self._deployment = deployment
        self._installed: dict[str, bytes] = {}

    def test(self, handlers: Path, tests: Sequence[str], patience: float = 1.0) -> Results:
        """Install other handlers, and run integration tests against them.

        Args:
            handlers: Folder of their sources.
            tests: Node ids.
            patience: Multiplies every deadline.
        """
        self._install(handlers)
        self._empty_table()
        assert self._aws.endpoint_url is not None
        return run_tests(
            REPOSITORY,
            tests,
            ["-p", "integration_tests.mutants.specimen", "--target", Specimen.name],
            {
                DESCRIPTION: describe(self._aws.endpoint_url, self._deployment),
                "TIMEOUT_FACTOR": str(scaled(patience)),
            },
        )

    def _install(self, handlers: Path) -> None:
        built = {f"{file.removesuffix('.zip')}_function_arn": content for file, content in render(handlers).items()}
        wanted = {self._deployment.outputs[name]: built[name] for name in built.keys() & self._deployment.outputs}
        changed = [arn for arn, content in wanted.items() if self._installed.get(arn) != content]
        for arn in changed:
            self._aws.functions.update_function_code(FunctionName=arn, ZipFile=wanted[arn])
        wait_until_updated(self._aws, changed)
        self._installed = wanted

    def _empty_table(self) -> None:
        """Remove what an earlier mutant may have left."""
        table = self._deployment.outputs["connections_table_name"]
        pages = self._aws.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        for item in [item for page in pages for item in page["Items"]]:
            key = {name: item[name] for name in ("partition_key", "sort_key")}
            self._aws.dynamodb.delete_item(TableName=table, Key=key)
