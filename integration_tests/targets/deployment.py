"""The root configuration applied to an emulator, in a state of its own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from integration_tests.targets.aws import Aws, emulator_environment
from integration_tests.targets.interface import Deployment
from scripts.terraform import CONFIGURATION, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from scripts.terraform import Plan

STAGE_PATH = "/_aws/execute-api/{api_id}/{stage_name}"
"""Where both emulators serve one stage's management API, beside every other service."""


@dataclass(frozen=True)
class Place:
    """An emulator as Terraform and the functions reach it.

    Attributes:
        aws: Access to the emulated account.
        functions_endpoint_url: The same endpoint as the functions reach it, which may run in containers.
        find_websocket_url: Given API id and stage name, returns the URL that clients connect to.
        bucket: S3 bucket that functions are deployed from. Uploading zips to one first lets the provider create all
            functions at once; directly it takes 5 s for each.
    """

    aws: Aws
    functions_endpoint_url: str
    find_websocket_url: Callable[[str, str], str]
    bucket: str = "roomcast-handlers"

    @property
    def endpoint_url(self) -> str:
        """Where every emulated service answers."""
        assert self.aws.endpoint_url is not None
        return self.aws.endpoint_url

    def create_bucket(self) -> None:
        """Create the bucket that functions are deployed from; it may exist already."""
        self.aws.s3.create_bucket(Bucket=self.bucket)

    def delete_bucket(self) -> None:
        """Delete the bucket, which destroying every instance has emptied."""
        self.aws.s3.delete_bucket(Bucket=self.bucket)


@dataclass
class Instance:
    """One applied instance of the root.

    Attributes:
        place: Where it is applied.
        scratch: Directory of its state.
        variables: Variables of the root besides those that the place decides.
        report: Called with each line that Terraform prints.
    """

    place: Place
    scratch: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    report: Callable[[str], None] | None = None

    @property
    def workspace(self) -> Workspace:
        """Terraform's workspace of this instance."""
        decided = {
            "handlers_bucket": self.place.bucket,
            "management_endpoint": f"{self.place.functions_endpoint_url}{STAGE_PATH}",
        }
        return Workspace(
            CONFIGURATION,
            self.scratch,
            variables={**decided, **self.variables},
            environment=terraform_environment(self.place.endpoint_url),
            report=self.report,
        )

    def apply(self, **variables: Any) -> Deployment:  # noqa: ANN401 - any Terraform value
        """Apply, with further variables if given, and return the instance as it is reached now.

        Raises:
            scripts.terraform.TerraformError: Terraform failed.
        """
        self.variables = {**self.variables, **variables}
        workspace = self.workspace
        workspace.init()
        workspace.apply()
        return self.deployment()

    def deployment(self) -> Deployment:
        """Read the outputs of what is applied."""
        outputs = {name: output["value"] for name, output in self.workspace.output().items()}
        return Deployment(
            websocket_url=self.place.find_websocket_url(outputs["api_id"], outputs["stage_name"]),
            management_endpoint=f"{self.place.endpoint_url}{STAGE_PATH.format_map(outputs)}",
            outputs=outputs,
        )

    def plan(self) -> Plan:
        """Compare what is applied with what would be.

        Raises:
            scripts.terraform.TerraformError: Terraform failed.
        """
        return self.workspace.plan()

    def destroy(self) -> None:
        """Remove everything that was applied.

        Raises:
            scripts.terraform.TerraformError: Terraform failed.
        """
        self.workspace.destroy()


@contextmanager
def applied(instance: Instance) -> Iterator[Instance]:
    """Apply an instance, and destroy it at the end, whatever happens, even if applying failed half-way."""
    try:
        instance.apply()
        yield instance
    finally:
        instance.destroy()


def terraform_environment(endpoint_url: str) -> dict[str, str]:
    """Return this process's environment with nothing in it that could lead Terraform to a real account."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**inherited, **emulator_environment(endpoint_url)}
