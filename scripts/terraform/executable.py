"""Find Terraform on PATH and refuse an unsuitable one."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from scripts.terraform.common import TerraformError

MINIMUM_VERSION = (1, 9)
TESTS_VERSION = (1, 11)
"""For ``terraform test``, because the modules' tests name states with ``state_key``."""
INSTALL_PAGE = "https://developer.hashicorp.com/terraform/install"
NO_OPENTOFU = "with which these commands do not work (the modules are validated with it, no more)"


@functools.cache
def executable(minimum: tuple[int, int] = MINIMUM_VERSION) -> str:
    """Return the path of Terraform.

    Args:
        minimum: The oldest version that will do.

    Raises:
        TerraformError: Terraform is missing, too old, or OpenTofu.
    """
    need = "Roomcast needs" if minimum == MINIMUM_VERSION else "Roomcast's tests of Terraform modules need"
    wanted = f"{need} Terraform >= {'.'.join(map(str, minimum))}; get it from {INSTALL_PAGE}"
    path = shutil.which("terraform")
    tofu = shutil.which("tofu") if path is None else path if Path(path).resolve().name == "tofu" else None
    if tofu is not None:
        raise TerraformError(f"{tofu} is OpenTofu, {NO_OPENTOFU}: {wanted}")
    if path is None:
        raise TerraformError(f"terraform is not on PATH: {wanted}")
    # A user's own options would be refused: `version` takes none of them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_CLI_ARGS")}
    command = [path, "version", "-json"]
    try:
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise TerraformError(f"{path} cannot be run ({error.strerror}): {wanted}") from error
    version = parse_version(answer.stdout)
    if not version:
        said = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
        raise TerraformError(f"{path} does not tell its version{f', but says: {said[-1]}' if said else ''}: {wanted}")
    if version < minimum:
        raise TerraformError(f"{path} is Terraform {'.'.join(map(str, version))}: {wanted}")
    return path


def parse_version(text: str) -> tuple[int, ...]:
    """Return the version in the output of ``terraform version -json``, or an empty tuple."""
    found = re.search(r'"terraform_version": *"(\d+)\.(\d+)\.(\d+)', text)
    return tuple(int(part) for part in found.groups()) if found else ()
