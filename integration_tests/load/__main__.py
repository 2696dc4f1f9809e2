"""Load runs, the fan-out benchmark and the sweeper: ``python -m integration_tests.load run|bench|sweep``."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from typing import TYPE_CHECKING

from integration_tests.load import budget, options
from integration_tests.load.progress import display_of
from integration_tests.load.run import run
from integration_tests.load.team import WorkerError
from integration_tests.report.__main__ import summary
from integration_tests.report.judgement import DocumentError, Limits, LimitsError, judge
from integration_tests.report.write import write
from integration_tests.targets.interface import TargetError
from integration_tests.targets.live import Live
from scripts.terraform import TerraformError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from integration_tests.load.plan import Plan
    from integration_tests.report.model import Document
    from integration_tests.targets.interface import Target

UNUSABLE = (OSError, options.OptionsError, TargetError, TerraformError, WorkerError, DocumentError, LimitsError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every limit holds, 1 if one is broken, 2 if there could be no run."""
    parser = argparse.ArgumentParser(prog="python -m integration_tests.load", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run_parser = commands.add_parser("run", help="thousands of clients, every message accounted for")
    options.add_run(run_parser)
    run_parser.set_defaults(command=load)
    given = parser.parse_args(arguments)
    # Whoever ends the run politely gets what Ctrl-C gives: everything is closed and removed.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    command: Callable[[argparse.Namespace], int] = given.command
    status = 2
    try:
        status = command(given)
    except* UNUSABLE as errors:
        sys.stderr.writelines(f"{error}\n" for error in leaves(errors))
    return status


def leaves(errors: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Yield the exceptions of a group, and of the groups in it."""
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


def load(given: argparse.Namespace) -> int:
    """Carry out one load run and report on it."""
    limits = Limits.load(given.limits)
    previous = json.loads(given.previous.read_text(encoding="utf-8")) if given.previous else None
    target = options.target_of(given)
    plan = options.plan_of(given, target.default_connections)
    check_budget(target, budget.usage(plan), accepted=given.i_accept_the_cost)
    document = judge(measure(plan, target), limits, previous)
    paths = write(document, given.report_dir)
    sys.stdout.writelines(f"{sentence}\n" for sentence in [*summary(document), f"report: {paths['html']}"])
    return 0 if document["passed"] else 1


def measure(plan: Plan, target: Target) -> Document:
    """Make the target usable, carry out a plan, and return what was measured."""
    with display_of(plan) as display, target:
        target.failed = True
        result = asyncio.run(run(plan, target, display))
        target.failed = not result.verdict.total.clean
    return result.document()


def check_budget(target: Target, usage: budget.Usage, *, accepted: bool) -> None:
    """Say what a run on a live stage may cost.

    Raises:
        options.OptionsError: It is more than may happen without having been accepted.
    """
    if target.name != Live.name:
        return
    sys.stdout.write(f"{usage}\n")
    if not (usage.is_small or accepted):
        raise options.OptionsError(
            f"a live stage is spared more than {budget.CONNECTIONS_CEILING} connections or {budget.MESSAGES_CEILING:,} "
            "messages unless you add --i-accept-the-cost"
        )


if __name__ == "__main__":
    sys.exit(main())
