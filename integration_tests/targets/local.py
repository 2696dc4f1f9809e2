"""The `local` target: a corrected MiniStack that lasts for one run."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from integration_tests.targets.emulated import Emulated
from integration_tests.targets.interface import Capability, Caveat
from scripts import process_table
from scripts.local import emulator, interpreters, watchdog
from scripts.local.deployment import AppliedRoot, access_of
from scripts.local.emulator import BUILD, Emulator
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from scripts.local.deployment import Deployment

WATCHDOG = Path(watchdog.__file__)


class Local(Emulated):
    """MiniStack in its own environment, on a free port of 127.0.0.1, with IAM enforced and the root applied to it.

    Attributes:
        run: Token in the names of this run's files.
        directory: Directory of those files; gone when the target has been left.
        log: MiniStack's output; kept after a failure.
        report: Called with each line that Terraform prints.
        environment: Variables of MiniStack besides the usual ones, such as the account's quotas.
    """

    name = "local"
    default_connections = 200
    owns_table = True

    def __init__(self, **environment: str) -> None:
        super().__init__()
        self.environment = environment
        self.run = secrets.token_hex(4)
        self.directory = self.scratch = BUILD / "runs" / self.run
        self.log = BUILD / "logs" / f"ministack-{self.run}.log"
        self.report: Callable[[str], None] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.access = access_of(undo.enter_context(self.running()).aws)
            self.access.create_bucket()
            # The state dies with the emulator, so nothing has to be destroyed.
            self.deployment = AppliedRoot(self.access, self.directory / "terraform", report=self.report).apply()
            self.aws = self.access.aws
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if kind is None and not self.failed:
            self.log.unlink(missing_ok=True)

    @contextmanager
    def running(self) -> Iterator[Emulator]:
        """Run MiniStack under a watchdog, which ends it and removes its directory once this process is gone."""
        watchdogs: list[subprocess.Popen[bytes]] = []

        def launch(started: Emulator, command: list[str]) -> subprocess.Popen[bytes]:
            temporary = self.directory / "tmp"
            temporary.mkdir(parents=True, exist_ok=True)
            self.log.parent.mkdir(parents=True, exist_ok=True)
            watchdog = [sys.executable, str(WATCHDOG), str(self.directory), str(self.log), *command]
            watchdogs.append(
                subprocess.Popen(
                    watchdog,
                    stdin=subprocess.PIPE,
                    cwd=REPOSITORY,
                    env={**started.environment(temporary), **self.environment},
                    start_new_session=True,  # Ctrl-C reaches this process alone; the watchdog notices its end
                )
            )
            return watchdogs[-1]

        try:
            yield emulator.start(launch, self.log)
        finally:
            for watchdog in watchdogs:
                watchdog.communicate()

    def lacks(self) -> Mapping[Capability | Caveat, str]:
        """Return everything that an emulator, even corrected, cannot show."""
        version = interpreters.version_of(interpreters.lambda_python())
        if version == interpreters.LAMBDA_PYTHON:
            return LACKS
        found, wanted = (".".join(map(str, each or ("?",))) for each in (version, interpreters.LAMBDA_PYTHON))
        note = f"{LACKS[Caveat.RUNTIME]} That is {found}, because {wanted} was not found."
        return {**LACKS, Caveat.RUNTIME: note}

    def deploy_to_stay(self, name: str, **variables: Any) -> Deployment:  # noqa: ANN401 - any Terraform value
        """Apply another instance of the root, which ends with the emulator."""
        return self.instance(name, **variables).apply()

    def kill(self, function_name: str) -> int:
        """Kill every process of a function, found by the folder into which MiniStack unpacks its code."""
        code = str(self.directory / "tmp" / f"ministack-lambda-{function_name}-")
        doomed = [pid for pid, line in process_table.command_lines().items() if code in line]
        for process_id in doomed:
            os.kill(process_id, signal.SIGKILL)
        return len(doomed)

    def files(self) -> Sequence[Path]:
        """Return MiniStack's log, which includes the functions' tracebacks."""
        return (self.log,)

    def failure_report(self) -> str:
        """Return the warnings and the end of MiniStack's log."""
        if not self.failed:
            return ""
        return f"{self.log} warns of:\n{emulator.troubles(self.log)}\nand ends with:\n{emulator.tail(self.log)}"


LACKS: Mapping[Capability | Caveat, str] = {
    Caveat.TIME_LIMITS: "MiniStack is corrected to have them, but a run does not last that long.",
    Caveat.QUOTAS: "MiniStack is corrected to have those that it is given, as it is for one test; else it has none.",
    Caveat.RUNTIME: "MiniStack runs functions as ordinary processes of this machine, with its own Python.",
    Caveat.EXPIRY: "MiniStack deletes expired items within a minute; DynamoDB takes up to days.",
    Caveat.SPEED: "One process on this machine stands for all of AWS.",
}
