"""Choose where ``terraform init`` installs the AWS provider from.

The first of these that applies:

1. your own CLI configuration file: the one that ``TF_CLI_CONFIG_FILE`` names, or ``~/.terraformrc`` when it has a
   ``provider_installation`` block;
2. the directory that ``TF_PROVIDER_MIRROR`` names, laid out as ``terraform providers mirror`` does;
3. registry.terraform.io, when it answers (proxy settings are honoured);
4. a filesystem mirror in one of the places where Terraform or an administrator would put one.
"""

from __future__ import annotations

import functools
import hashlib
import http.client
import json
import os
import re
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.terraform import common
from scripts.terraform.common import TerraformError
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY_DISCOVERY = "https://registry.terraform.io/.well-known/terraform.json"
REGISTRY_TIMEOUT_SECONDS = 3.0
AWS_PROVIDER = Path("registry.terraform.io", "hashicorp", "aws")
SYSTEM_MIRRORS = (Path("/usr/local/share/terraform/plugins"), Path("/usr/share/terraform/plugins"))
ADD_ON_SOFTWARE = Path("/opt")
NO_PROVIDER = (
    "the AWS provider is nowhere to be had: registry.terraform.io does not answer and no filesystem mirror was "
    "found. Either connect to the registry (HTTPS_PROXY is honoured); or run `terraform providers mirror DIRECTORY` "
    "in terraform/ on a connected machine, copy DIRECTORY here and set TF_PROVIDER_MIRROR to it; or set "
    "TF_CLI_CONFIG_FILE to a CLI configuration file with a provider_installation block"
)


def with_providers(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of an environment in which ``terraform init`` finds the AWS provider.

    Args:
        environment: The environment of Terraform; the module's docstring lists the variables that count.

    Raises:
        TerraformError: The provider cannot be installed from anywhere; the message names the ways out.
    """
    prepared = without_missing_configuration(environment)
    if _configures_providers(prepared):
        return prepared
    mirror: Path | None
    if named := prepared.get("TF_PROVIDER_MIRROR"):
        mirror = Path(named).resolve()
        if not holds_provider(mirror):
            raise TerraformError(f"TF_PROVIDER_MIRROR is {named}, which holds no {AWS_PROVIDER}")
    elif registry_answers():
        return prepared
    else:
        mirror = find_mirror(prepared)
    if mirror is None:
        raise TerraformError(NO_PROVIDER)
    return {**prepared, "TF_CLI_CONFIG_FILE": str(_write_cli_configuration(mirror))}


def without_missing_configuration(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a copy without a ``TF_CLI_CONFIG_FILE`` that does not exist: Terraform would warn of it each time."""
    prepared = dict(environment)
    if not Path(prepared.get("TF_CLI_CONFIG_FILE", "")).is_file():
        prepared.pop("TF_CLI_CONFIG_FILE", None)
    return prepared


@functools.cache
def registry_answers() -> bool:
    """Whether the public provider registry can be reached; asked once per process, within a few seconds."""
    try:
        with urllib.request.urlopen(REGISTRY_DISCOVERY, timeout=scaled(REGISTRY_TIMEOUT_SECONDS)):
            return True
    except (OSError, http.client.HTTPException):
        return False


def find_mirror(environment: Mapping[str, str]) -> Path | None:
    """Return the first usual directory that holds the AWS provider as a filesystem mirror, if there is one.

    See https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
    """
    home = _home(environment)
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    usual = [home / ".terraform.d" / "plugins", data / "terraform" / "plugins", *SYSTEM_MIRRORS]
    try:
        added = sorted(ADD_ON_SOFTWARE.iterdir())
    except OSError:
        added = []
    return next((mirror for mirror in [*usual, *added] if holds_provider(mirror)), None)


def holds_provider(mirror: Path) -> bool:
    """Whether a directory holds the AWS provider; one that cannot be read is no mirror."""
    # Path.is_dir() raises PermissionError for what is below a directory that cannot be read.
    return os.path.isdir(mirror / AWS_PROVIDER)  # noqa: PTH112


def _configures_providers(environment: Mapping[str, str]) -> bool:
    if "TF_CLI_CONFIG_FILE" in environment:
        return True
    default = _home(environment) / ".terraformrc"
    return default.is_file() and bool(
        re.search(r"^\s*provider_installation\b", default.read_text(encoding="utf-8"), re.MULTILINE)
    )


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or Path.home())


def _write_cli_configuration(mirror: Path) -> Path:
    text = (
        "disable_checkpoint = true\n"
        "provider_installation {\n"
        "  filesystem_mirror {\n"
        f"    path = {json.dumps(str(mirror))}\n"
        "  }\n"
        "}\n"
    )
    # One file per content, so that simultaneous runs never change a file under each other.
    file = common.GENERATED / f"providers-{hashlib.sha256(text.encode()).hexdigest()[:8]}.tfrc"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        common.replace_file(file, text)
    return file
