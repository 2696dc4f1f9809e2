"""Watch the main job: build, start an emulator, apply, connect clients, send messages, clean up, tear down.

``python -m integration_tests.demo`` exits with 0 only if every message reached every member of its room and no other
client, once, in time and unchanged; if each message had one true receipt; if the table is empty afterwards; and if
nothing is left running. It exits with 1 after a violation of these, and with 2 if the demo could not run.
"""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from integration_tests.demo.console import Console
from integration_tests.demo.scenes import perform
from integration_tests.targets.interface import TargetError
from integration_tests.targets.local import Local
from scripts import build_handlers, command, event_loops
from scripts.handler_sources import BuildError
from scripts.local import emulator, interpreters
from scripts.terraform import TerraformError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integration_tests.demo.console import Step

UNUSABLE = 2


def prepare(console: Console) -> None:
    """Build the zips and make the emulator's Python environment, which the first run installs."""
    with console.step("Build the Lambda zips") as step:
        changed = build_handlers.build()
        step.detail = f"changed: {', '.join(changed)}" if changed else "up to date, byte for byte"
    with console.step("Prepare the emulator") as step:
        python = emulator.ministack_python()
        version = interpreters.version_of(python) or ()
        step.detail = f"MiniStack in an environment of its own, Python {'.'.join(map(str, version))}"


@contextmanager
def applied(console: Console) -> Iterator[Local]:
    """Start the emulator and apply the root to it; end everything with the context."""
    target = Local()
    with ExitStack() as everything:
        with console.step("Start it and apply Terraform", total=1) as step:
            target.report = follow(step)
            everything.enter_context(target)
            step.detail = f"AWS at {target.aws.endpoint_url if target.aws else ''}, IAM enforced"
        try:
            yield target
        except BaseException:
            target.failed = True
            raise
        finally:
            with console.step("Tear it down") as step:
                with command.uninterrupted():
                    everything.close()
                step.detail = "emulator, functions, state and files are gone"


def follow(step: Step) -> Callable[[str], None]:
    """Return a function that reads Terraform's lines and moves a step's bar."""
    created = 0
    planned: int | None = None

    def read(line: str) -> None:
        nonlocal created, planned
        if plan := re.match(r"Plan: (\d+) to add", line):
            planned = int(plan[1])
        created += "Creation complete" in line
        step.reach(created, planned)

    return read


def leftovers(target: Local) -> list[str]:
    """Return everything that is still there of a target that has been left."""
    assert target.aws is not None
    url = str(target.aws.endpoint_url)
    files = [str(target.directory)] if target.directory.exists() else []
    return [*files, f"an emulator at {url}"] if emulator.answers(url) else files


def show(console: Console) -> int:
    """Show everything; return the exit status."""
    started = time.monotonic()
    prepare(console)
    with applied(console) as target:
        found = event_loops.run(perform(console, target))
        target.failed = found > 0
    left = leftovers(target)
    if found or left:
        console.say(f"\n{console.wrong} {found} deliveries, answers, connections or items were wrong.")
        console.say(f"left behind: {', '.join(left) or 'nothing'}")
        console.say(escape(target.failure_report()))
        return 1
    verdict = "Every message reached every member of its room once and no other client; nothing is left."
    console.say(f"\n{console.right} {verdict} ({time.monotonic() - started:.0f} s)")
    return 0


def main() -> int:
    """Run the command line; return its exit status."""
    command.prepare()
    console = Console()
    try:
        return show(console)
    except (BuildError, TargetError, TerraformError, OSError, BotoCoreError, ClientError) as error:
        console.say(f"{console.wrong} {escape(str(error) or type(error).__name__)}")
        return UNUSABLE
    except KeyboardInterrupt:
        return command.interrupted("demo")


if __name__ == "__main__":
    sys.exit(main())
