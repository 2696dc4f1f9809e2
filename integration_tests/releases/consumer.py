"""The configuration of another team, which fetches the modules of a release."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.local.deployment import STAGE_PATH, EmulatorAccess, terraform_environment
from scripts.terraform import CONFIGURATION, Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EXAMPLE = CONFIGURATION / "examples" / "release-consumer"


@dataclass
class Consumer(Workspace):
    """A copy of the example ``release-consumer`` in a folder of its own, outside the repository.

    An override file names the source of the test, and what a module call for an emulator needs.

    Attributes:
        state: File of the state, which several consumers may share one after the other.
    """

    state: Path | None = None

    def _copy_configuration(self) -> None:
        self.tree.mkdir(parents=True, exist_ok=True)
        for file in EXAMPLE.glob("*.tf"):
            shutil.copy(file, self.tree / file.name)

    def override(self, source: str, access: EmulatorAccess, **arguments: object) -> None:
        """Write the override file.

        Args:
            source: Source of the module.
            access: The emulator.
            **arguments: Further arguments of the module call.
        """
        given = {"management_endpoint": f"{access.functions_endpoint_url}{STAGE_PATH}", **arguments}
        lines = "".join(f"  {name} = {json.dumps(value)}\n" for name, value in given.items())
        state = json.dumps(str(self.state or self.scratch / "terraform.tfstate"))
        self.tree.mkdir(parents=True, exist_ok=True)
        (self.tree / "emulator_override.tf").write_text(
            f'terraform {{\n  backend "local" {{\n    path = {state}\n  }}\n}}\n\n'
            f'module "roomcast" {{\n  source = {json.dumps(source)}\n{lines}}}\n',
            encoding="utf-8",
        )

    @property
    def tree(self) -> Path:
        """The consumer's folder."""
        return self.scratch.resolve() / "consumer"

    @property
    def _working_directory(self) -> Path:
        return self.tree

    def _environment(self) -> dict[str, str]:
        # In the default folder of modules, whose path in the state is the same for each consumer.
        return {name: value for name, value in super()._environment().items() if name != "TF_DATA_DIR"}


def consumer(
    scratch: Path,
    source: str,
    access: EmulatorAccess,
    *,
    state: Path | None = None,
    settings: Mapping[str, str] | None = None,
    **arguments: object,
) -> Consumer:
    """Return a consumer, not initialised yet.

    Args:
        scratch: A folder of its own.
        source: Source of the module.
        access: The emulator.
        state: File of the state, if others share it.
        settings: Environment variables of Terraform.
        **arguments: Further arguments of the module call.
    """
    variables: Mapping[str, str] = {"name": "consumer"}
    environment = {**terraform_environment(access.endpoint_url), **(settings or {})}
    made = Consumer(EXAMPLE, scratch, variables=variables, environment=environment, state=state)
    scratch.mkdir(parents=True, exist_ok=True)
    made.override(source, access, **arguments)
    return made
