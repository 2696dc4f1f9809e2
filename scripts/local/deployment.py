"""The root configuration applied to an emulator, in a state of its own."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from scripts import finite_json
from scripts.local.aws import Aws, emulator_environment
from scripts.local.emulator import host_zips
from scripts.repository import REPOSITORY
from scripts.terraform import CONFIGURATION, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from scripts.terraform import Plan

STAGE_PATH = "/_aws/execute-api/{api_id}/{stage_name}"
"""Where both emulators serve one stage's management API, beside every other service."""


@dataclass(frozen=True)
class Deployment:
    """One applied root configuration, as it is reached on its target.

    Attributes:
        websocket_url: Where clients connect, stage included, without a query.
        management_endpoint: Base URL of ``@connections``; None if unknown.
        outputs: Terraform's outputs by name; empty if unknown.
    """

    websocket_url: str
    management_endpoint: str | None
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class EmulatorAccess:
    """An emulator as Terraform and the functions reach it.

    Attributes:
        aws: Access to the emulated account.
        functions_endpoint_url: The same endpoint as the functions reach it, which may run in containers.
        find_websocket_url: Given API id and stage name, returns the URL that clients connect to.
        bucket: S3 bucket that functions are deployed from. Uploading zips to one first lets the provider create all
            functions at once; directly it takes 5 s for each.
        runs_functions_here: Whether functions are processes of this machine, so that native libraries must be for it.
    """

    aws: Aws
    functions_endpoint_url: str
    find_websocket_url: Callable[[str, str], str]
    bucket: str = "roomcast-handlers"
    runs_functions_here: bool = False

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
class AppliedRoot:
    """One applied instance of the root.

    Attributes:
        access: The emulator that it is applied to.
        scratch: Directory of its state.
        variables: Variables of the root besides those that the emulator decides.
        options: Options of Terraform that set further ones, and stand above these.
        report: Called with each line that Terraform prints.
        repository: Root of the tree that holds the root configuration; another one for an earlier release.
    """

    access: EmulatorAccess
    scratch: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    options: Sequence[str] = ()
    report: Callable[[str], None] | None = None
    repository: Path = REPOSITORY

    @property
    def workspace(self) -> Workspace:
        """Terraform's workspace of this instance."""
        decided = {
            "handlers_bucket": self.access.bucket,
            "management_endpoint": f"{self.access.functions_endpoint_url}{STAGE_PATH}",
        }
        if self.access.runs_functions_here and self.variables.get("authorization_type") == "JWT":
            decided["handlers_directory"] = str(host_zips())
        return Workspace(
            self.repository / CONFIGURATION.name,
            self.scratch,
            variables={**decided, **self.variables},
            options=self.options,
            environment=terraform_environment(self.access.endpoint_url),
            report=self.report,
            repository=self.repository,
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
        """Read the outputs of the applied instance."""
        outputs = {name: output["value"] for name, output in self.workspace.output().items()}
        return Deployment(
            websocket_url=self.access.find_websocket_url(outputs["api_id"], outputs["stage_name"]),
            management_endpoint=f"{self.access.endpoint_url}{STAGE_PATH.format_map(outputs)}",
            outputs=outputs,
        )

    def plan(self) -> Plan:
        """Compare the instance with its configuration.

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
def applied(instance: AppliedRoot) -> Iterator[AppliedRoot]:
    """Apply an instance and always destroy it at the end, even if applying failed half-way."""
    try:
        instance.apply()
        yield instance
    finally:
        instance.destroy()


def terraform_environment(endpoint_url: str) -> dict[str, str]:
    """Return this process's environment without what could lead Terraform to a real account."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    files = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    return {**inherited, **files, **emulator_environment(endpoint_url)}


def access_of(aws: Aws) -> EmulatorAccess:
    """Describe a MiniStack to Terraform and to clients."""
    assert aws.endpoint_url is not None
    websocket_base = aws.endpoint_url.replace("http", "ws", 1)

    def find_websocket_url(api_id: str, stage: str) -> str:
        return websocket_base + STAGE_PATH.format(api_id=api_id, stage_name=stage)

    return EmulatorAccess(aws, aws.endpoint_url, find_websocket_url, runs_functions_here=True)


def describe_deployment(endpoint_url: str, deployment: Deployment) -> str:
    """Return the JSON text from which another process reaches a deployment on an emulator."""
    return json.dumps({"endpoint_url": endpoint_url, **asdict(deployment)}, indent=2)


def read_deployment(file: Path) -> tuple[str, Deployment]:
    """Read an emulator's endpoint and a deployment on it from a file that holds such a text.

    Raises:
        OSError: The file cannot be read.
        ValueError: It does not hold JSON, or no endpoint.
        TypeError: It holds something else than a deployment.
    """
    fields = dict(finite_json.loads(file.read_bytes()))
    try:
        return str(fields.pop("endpoint_url")), Deployment(**fields)
    except KeyError as error:
        raise ValueError(f"{file} names no endpoint") from error
