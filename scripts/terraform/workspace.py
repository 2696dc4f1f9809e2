"""A configuration with a state of its own, apart from a user's own files."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.asked_of_aws import mocks
from scripts.repository import REPOSITORY
from scripts.terraform import common
from scripts.terraform.common import TerraformError
from scripts.terraform.executable import executable
from scripts.terraform.processes import follow
from scripts.terraform.providers import with_providers, without_missing_configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from scripts.terraform.processes import Ended
    from scripts.terraform.shared import SharedProviders

PARALLELISM = 30
"""Requests at a time: an emulator answers at once, and Terraform's default of 10 is made for AWS."""
PERSONAL_FILES = (
    ".terraform",
    ".terraform.lock.hcl",
    "*.tfstate",
    "*.tfstate.*",
    "*.tfplan",
    "terraform.tfvars",
    "terraform.tfvars.json",
    "*.auto.tfvars",
    "*.auto.tfvars.json",
    "override.tf",
    "override.tf.json",
    "*_override.tf",
    "*_override.tf.json",
    "crash.log",
)
"""Files of a user's own ``terraform apply`` beside the configuration; no workspace sees them."""
CHECKSUMS = re.compile(r"^ *hashes = \[.*?\]\n", re.MULTILINE | re.DOTALL)
"""Of a provider in a lock file."""
PERSONAL_VARIABLES = ("TF_CLI_ARGS", "TF_VAR_", "TF_WORKSPACE")
"""Prefixes of environment variables that change a user's own ``terraform apply``."""


class Plan(NamedTuple):
    """The result of ``terraform plan``.

    Attributes:
        changes: Whether anything would change.
        text: The plan as Terraform printed it.
    """

    changes: bool
    text: str


@dataclass
class Workspace:
    """One configuration with a state of its own; it writes nothing outside its scratch directory.

    The workspace copies the configuration, so that it neither sees nor touches a user's own state, lock file, variables
    and overrides in ``terraform/``, and so that simultaneous runs in one clone do not meet. ``init`` copies afresh:
    call it again to see edits.

    Attributes:
        directory: ``terraform/`` or a directory below it.
        scratch: Existing or new directory for copy, providers and state; remove it when done.
        variables: Values of the root module's variables.
        environment: Terraform's whole environment; this process's own by default.
        options: Options ``-var`` and ``-var-file``, which stand above :attr:`variables`.
        report: Called with each line that Terraform prints.
        providers: Providers for :meth:`validate`, :meth:`test` and :meth:`states`, whose runs start their own without.
        repository: Root of the tree that holds the configuration; another one for an earlier release.
    """

    directory: Path
    scratch: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    options: Sequence[str] = ()
    environment: Mapping[str, str] | None = None
    report: Callable[[str], None] | None = None
    providers: SharedProviders | None = None
    repository: Path = field(default_factory=lambda: REPOSITORY)

    def init(self, *, backend: bool = True) -> None:
        """Copy the configuration and install its modules and providers.

        Args:
            backend: Prepare the state; ``validate`` and ``test`` need none.

        Raises:
            TerraformError: Terraform failed, or the AWS provider cannot be installed from anywhere.
        """
        self._copy_configuration()
        environment = with_providers(self._environment())
        cache = environment.setdefault("TF_PLUGIN_CACHE_DIR", str(common.GENERATED / "plugin-cache"))
        # Each copy starts without a lock file; Terraform would then take no provider from the cache.
        environment["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"
        with _only_user_of(Path(cache)):
            self._run("init", "-reconfigure" if backend else "-backend=false", environment=environment)
        self._forget_checksums()

    def validate(self) -> None:
        """Check the configuration without any state or AWS; raises TerraformError when it is wrong."""
        self._run("validate", environment=self._with_shared_providers())

    def test(self) -> str:
        """Run the module's ``tests/*.tftest.hcl`` and return Terraform's output; raises TerraformError."""
        return self._run("test", environment=self._with_shared_providers())

    def states(self, tests: str) -> dict[str, Mapping[str, Any]]:
        """Run the tests of a folder and return the state that each run left, as ``terraform show -json`` writes it.

        Args:
            tests: Folder of ``*.tftest.hcl`` files, relative to the directory.

        Raises:
            TerraformError: A test failed.
        """
        mocks.write(self._working_directory / tests / "mocks" / "functions.tfmock.hcl")
        options = ("-json", "-verbose", f"-test-directory={tests}")
        environment = self._with_shared_providers()
        ended = self._run_any("test", *options, environment=environment, accepted=(0, 1))
        messages = [json.loads(line) for line in ended.output.splitlines() if line.startswith("{")]
        if ended.status:
            errors = [message["@message"] for message in messages if message["@level"] == "error"]
            raise TerraformError(f"terraform test failed in {self.directory}/{tests}:\n" + "\n".join(errors))
        return {message["@testrun"]: message["test_state"] for message in messages if message["type"] == "test_state"}

    def plan(self, *options: str) -> Plan:
        """Compare configuration, state and reality; raises TerraformError.

        Args:
            *options: Further options of ``terraform plan``; a ``-var`` among them comes before :attr:`variables`.
        """
        ended = self._run_any("plan", "-detailed-exitcode", *self._variable_options(), *options, accepted=(0, 2))
        return Plan(changes=ended.status == 2, text=ended.output)

    def changes(self, *options: str) -> list[Mapping[str, Any]]:
        """Return the planned change of each object: ``resource_changes`` of ``terraform show -json``.

        Args:
            *options: Further options of ``terraform plan``.

        Raises:
            TerraformError: Terraform failed.
        """
        file = self.scratch.resolve() / "plan"
        self.plan(f"-out={file}", *options)
        changes: list[Mapping[str, Any]] = json.loads(self._run("show", "-json", str(file)))["resource_changes"]
        return changes

    def apply(self, *options: str) -> None:
        """Create or change everything that the configuration describes; raises TerraformError.

        Args:
            *options: Further options of ``terraform apply``.
        """
        self._run("apply", "-auto-approve", f"-parallelism={PARALLELISM}", *self._variable_options(), *options)

    def apply_planned(self, file: Path) -> None:
        """Apply a plan that :meth:`plan` has written with the option ``-out``; raises TerraformError.

        Args:
            file: The plan.
        """
        self._run("apply", f"-parallelism={PARALLELISM}", str(file.resolve()))

    def destroy(self) -> None:
        """Remove everything in the state; raises TerraformError."""
        self._run("destroy", "-auto-approve", f"-parallelism={PARALLELISM}", *self._variable_options())

    def output(self) -> dict[str, Any]:
        """Return the outputs as ``terraform output -json`` does: ``value``, ``type`` and ``sensitive`` by name."""
        outputs: dict[str, Any] = json.loads(self._run("output", "-json"))
        return outputs

    @property
    def tree(self) -> Path:
        """The copy's counterpart of the repository's root; ``init`` undoes changes below it."""
        return self.scratch.resolve() / "repository"

    def _copy_configuration(self) -> None:
        shutil.rmtree(self.tree, ignore_errors=True)
        copy = self.tree / common.CONFIGURATION.name
        shutil.copytree(self.repository / copy.name, copy, ignore=shutil.ignore_patterns(*PERSONAL_FILES))
        # The configuration finds sources and zips by their place in the repository.
        (self.tree / "handlers").symlink_to(self.repository / "handlers")
        (self.tree / "build").mkdir()
        (self.tree / "build" / "handlers").symlink_to(self.repository / "build" / "handlers")
        state = json.dumps(str(self.scratch.resolve() / "terraform.tfstate"))
        backend = f'terraform {{\n  backend "local" {{\n    path = {state}\n  }}\n}}\n'
        (self._working_directory / "scratch_override.tf").write_text(backend, encoding="utf-8")

    def _forget_checksums(self) -> None:
        """Take them out of the copy's lock file, which ``init`` has just written.

        Each later command would read the provider's 700 MB to compare them, a tenth of its CPU time.
        """
        lock = self._working_directory / ".terraform.lock.hcl"
        if lock.is_file():
            lock.write_text(CHECKSUMS.sub("", lock.read_text(encoding="utf-8")), encoding="utf-8")

    @property
    def _working_directory(self) -> Path:
        return self.tree / self.directory.resolve().relative_to(self.repository)

    def _environment(self) -> dict[str, str]:
        inherited = os.environ if self.environment is None else self.environment
        environment = {
            name: value
            for name, value in without_missing_configuration(inherited).items()
            if not name.startswith(PERSONAL_VARIABLES)
        }
        return environment | {
            "TF_DATA_DIR": str(self.scratch.resolve() / "data"),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            # The provider lives for a second or two; rarer garbage collection saves a quarter of its CPU time.
            "GOGC": "400",
        }

    def _with_shared_providers(self) -> dict[str, str]:
        environment = self._environment()
        if self.providers is not None:
            environment |= self.providers.environment(Path(environment["TF_DATA_DIR"]), environment)
        return environment

    def _variable_options(self) -> list[str]:
        file = self.scratch.resolve() / "variables.tfvars.json"
        file.write_text(json.dumps(dict(self.variables), indent=2) + "\n", encoding="utf-8")
        return [f"-var-file={file}", *self.options]

    def _run(self, command: str, *options: str, environment: Mapping[str, str] | None = None) -> str:
        return self._run_any(command, *options, environment=environment).output

    def _run_any(
        self, command: str, *options: str, environment: Mapping[str, str] | None = None, accepted: Sequence[int] = (0,)
    ) -> Ended:
        arguments = [executable(), f"-chdir={self._working_directory}", command, "-no-color", *options]
        ended = follow(arguments, environment or self._environment(), self.report)
        if ended.status not in accepted:
            failed = f"terraform {command} failed in {self.directory} (exit status {ended.status})"
            raise TerraformError(f"{failed}:\n{ended.text}")
        return ended


@contextlib.contextmanager
def _only_user_of(cache: Path) -> Iterator[None]:
    """Hold the plugin cache alone, because Terraform does not guard it against a second ``init``."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
