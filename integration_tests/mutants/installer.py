"""Installs a mutant's handlers into a deployed instance, within a second, and runs tests against it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from integration_tests.harness.reconfigured import serve_latest, wait_until_updated
from integration_tests.mutants.runs import Results, run_tests
from integration_tests.targets.running import DEPLOYMENT, Running
from scripts.build_handlers import render
from scripts.local.deployment import describe_deployment
from scripts.repository import REPOSITORY
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.local.aws import Aws
    from scripts.local.deployment import Deployment

PLUGIN = "integration_tests.mutants.first_failure"
CONNECTIONS = "12"
"""Sockets that a test opens at once: enough to notice an omitted member."""


class Installer:
    """Replaces the code of an instance's functions and runs tests against it.

    Args:
        aws: Access to the emulated account.
        deployment: The instance, for this installer alone.
    """

    def __init__(self, aws: Aws, deployment: Deployment) -> None:
        self._aws = aws
        self._deployment = deployment
        self._installed: dict[str, bytes] = {}

    def test(self, handlers: Path, tests: Sequence[str], patience: float = 1.0) -> Results:
        """Install handlers and run integration tests against them.

        Args:
            handlers: Folder of the handlers' sources.
            tests: Node ids.
            patience: Factor for every deadline.
        """
        self._install(handlers)
        self._empty_table()
        assert self._aws.endpoint_url is not None
        with TemporaryDirectory() as directory:
            file = Path(directory) / "deployment.json"
            file.write_text(describe_deployment(self._aws.endpoint_url, self._deployment), encoding="utf-8")
            return run_tests(
                REPOSITORY,
                tests,
                ["-p", PLUGIN, "--target", Running.name, "--connections", CONNECTIONS],
                {DEPLOYMENT: str(file), "TIMEOUT_FACTOR": str(scaled(patience))},
            )

    def _install(self, handlers: Path) -> None:
        built = render(handlers)
        arns = self._deployment.outputs["function_arns"]
        wanted = {arn: built[f"{handler}.zip"] for handler, arn in arns.items()}
        changed = [arn for arn, content in wanted.items() if self._installed.get(arn) != content]
        for arn in changed:
            self._aws.functions.update_function_code(FunctionName=arn, ZipFile=wanted[arn])
        wait_until_updated(self._aws.functions, changed)
        for arn in changed:
            before = serve_latest(self._aws.functions, arn)
            self._aws.functions.delete_function(FunctionName=arn, Qualifier=before)
        self._installed = wanted

    def _empty_table(self) -> None:
        """Delete items that an earlier mutant may have left."""
        table = self._deployment.outputs["connections_table_name"]
        pages = self._aws.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        for item in [item for page in pages for item in page["Items"]]:  # a list: pages must not move while items go
            key = {name: item[name] for name in ("partition_key", "sort_key")}
            self._aws.dynamodb.delete_item(TableName=table, Key=key)
