"""Write the outputs of the stage that a person applied in ``terraform/``."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.terraform import common
from scripts.terraform.common import TerraformError
from scripts.terraform.executable import executable
from scripts.terraform.providers import with_providers, without_missing_configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING_APPLIED = "nothing is applied in terraform/, so there are no outputs: run `make apply` first"
BACKEND = re.compile(r'^\s*(backend\s+"|cloud\s*\{)|"(backend|cloud)"\s*:', re.MULTILINE)
"""A block of Terraform's language or of its JSON syntax that keeps the state elsewhere."""


def write_outputs(file: Path) -> None:
    """Write the output of ``terraform output -json`` for ``terraform/`` into a file.

    Raises:
        TerraformError: Terraform failed, or nothing is applied.
        OSError: The file cannot be written; its old content stays.
    """
    if _was_never_initialised():  # `terraform init` would leave .terraform and a lock file behind
        raise TerraformError(NOTHING_APPLIED)
    environment = without_missing_configuration(os.environ)
    _output_of("init", "-input=false", environment=with_providers(environment))
    text = _output_of("output", "-json", environment=environment)
    if not json.loads(text):
        raise TerraformError(NOTHING_APPLIED)
    common.replace_file(file, text)


def applied_region() -> str | None:
    """Return the Region of the backend in the state of ``terraform/``, which is initialised; None without a backend.

    Raises:
        TerraformError: Terraform failed.
    """
    outputs = json.loads(_output_of("output", "-json", environment=without_missing_configuration(os.environ)))
    stage = outputs.get("stage_execution_arn")
    return None if stage is None else str(stage["value"]).split(":")[3]


def _output_of(*options: str, environment: Mapping[str, str]) -> str:
    result = subprocess.run(
        [executable(), f"-chdir={common.CONFIGURATION}", *options, "-no-color"],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if result.returncode != 0:
        raise TerraformError(f"the outputs cannot be read:\n{result.stderr.strip()}")
    return result.stdout


def _was_never_initialised() -> bool:
    """Whether ``terraform/`` was neither initialised nor applied here and keeps its state nowhere else."""
    root = common.CONFIGURATION
    if Path(root, ".terraform").exists() or any(root.glob("terraform.tfstate*")):
        return False
    files = (*root.glob("*.tf"), *root.glob("*.tf.json"))
    return not any(BACKEND.search(file.read_text(encoding="utf-8")) for file in files)
