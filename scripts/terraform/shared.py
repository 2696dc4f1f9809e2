"""One process of the AWS provider for many runs of Terraform, each of which would start its own.

A run of ``terraform test`` starts the provider several times, only to ask it for its schemas, if all of its providers
are mocked. The provider computes longer for each start than Terraform for the run.

See https://developer.hashicorp.com/terraform/plugin/debugging#starting-a-provider-in-debug-mode
"""

from __future__ import annotations

import re
import tempfile
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from scripts.terraform.common import TerraformError
from scripts.terraform.processes import beside
from scripts.terraform.providers import AWS_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

ATTACH = re.compile(r"^\s*TF_REATTACH_PROVIDERS='(.*)'$")
UNTIL_CLOSED = '"$0" -debug & exec >&-; read -r _; kill "$!"'
"""Runs a provider as long as standard input is open, so that none stays when this process is killed.

The shell closes its own standard output, which ends with the provider then.
"""


class SharedProviders:
    """A context that lends running providers to workspaces; its end ends them.

    Lend them only where providers are mocked: a configuration of the provider would count for all who share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._started: dict[Path, Mapping[str, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def environment(self, data: Path, environment: Mapping[str, str]) -> Mapping[str, str]:
        """Return the variables by which Terraform uses the AWS provider that ``init`` has installed.

        There are none if ``init`` has installed no AWS provider.

        Args:
            data: Terraform's data directory.
            environment: The provider's whole environment, if it has to be started.

        Raises:
            TerraformError: The provider does not start.
        """
        found = sorted((data / "providers" / AWS_PROVIDER).glob("*/*/terraform-provider-aws*"))
        if len(found) != 1:
            return {}
        file = found[0].resolve()
        with self._lock:
            if file not in self._started:
                self._started[file] = self._start(file, environment)
            return self._started[file]

    def _start(self, file: Path, environment: Mapping[str, str]) -> Mapping[str, str]:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = self._stack.enter_context(beside(["sh", "-c", UNTIL_CLOSED, str(file)], environment, errors))
            assert process.stdout is not None
            text = ""
            for line in process.stdout:
                text += line
                if found := ATTACH.search(line):
                    return {"TF_REATTACH_PROVIDERS": found[1]}
            errors.seek(0)
            raise TerraformError(f"the AWS provider {file} does not start:\n{text}{errors.read()}")
