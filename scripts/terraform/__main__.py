"""The command line: ``check``, ``find``, ``outputs``, or any command of Terraform's own."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from scripts.command import INTERRUPTED
from scripts.terraform.checking import check, configurations
from scripts.terraform.common import TerraformError
from scripts.terraform.executable import executable
from scripts.terraform.outputs import write_outputs
from scripts.terraform.providers import with_providers, without_missing_configuration

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status, or become Terraform."""
    try:
        if arguments[:1] == ["outputs"]:
            return outputs(arguments[1:])
        if arguments == ["find"]:
            print(executable())
            return 0
        if arguments[:1] == ["check"]:
            return 0 if check([Path(argument) for argument in arguments[1:]] or configurations()) else 1
        become_terraform(arguments)
    except (TerraformError, OSError) as error:
        reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else error
        print(f"terraform: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("terraform: interrupted", file=sys.stderr)
        return INTERRUPTED


def outputs(files: Sequence[str]) -> int:
    """Write the outputs into a file, and print what it is for, unless it is a device or a pipe.

    Raises:
        TerraformError: Terraform failed, nothing is applied, or there is not one file.
        OSError: The file cannot be written.
    """
    if len(files) != 1:
        raise TerraformError(f"outputs takes the name of one file, not {shlex.join(files) or 'none'}")
    file = Path(files[0])
    write_outputs(file)
    if file.is_file():
        print(f"{file} holds the outputs; `make test-live OUTPUTS={shlex.quote(str(file))}` tests that stage")
    return 0


def become_terraform(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by Terraform, which then has terminal, Ctrl-C and exit status to itself."""
    environment = without_missing_configuration(os.environ)
    if "init" in arguments:
        environment = with_providers(environment)
    if not sys.stdout.isatty():
        environment["TF_CLI_ARGS"] = f"{environment.get('TF_CLI_ARGS', '')} -no-color".strip()
    os.execve(executable(), ["terraform", *arguments], environment)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
