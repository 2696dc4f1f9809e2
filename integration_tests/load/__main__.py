"""Load runs, the fan-out benchmark and the sweeper: ``python -m integration_tests.load run|bench|sweep``."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from integration_tests.harness import credentials
from integration_tests.harness.faults.fields import RuleError
from integration_tests.harness.table import ConnectionsTable
from integration_tests.load import bench, budget, options
from integration_tests.load.bench_document import document as document_of
from integration_tests.load.bench_results import is_clean
from integration_tests.load.bounds import OptionsError
from integration_tests.load.leftovers import sweep
from integration_tests.load.planning import bench_plans_of, plan_of
from integration_tests.load.progress import display_of
from integration_tests.load.redaction import without_secrets
from integration_tests.load.run import run
from integration_tests.load.worker_process import WorkerError
from integration_tests.load.workers import NoConnectionError
from integration_tests.report.__main__ import summary
from integration_tests.report.documents import DocumentError
from integration_tests.report.judgement import judge, load_previous
from integration_tests.report.limits import Limits, LimitsError
from integration_tests.report.write import write
from integration_tests.targets.interface import TargetError
from integration_tests.targets.live import Live
from scripts import command, event_loops
from scripts.terraform import TerraformError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from integration_tests.load.plan import Plan
    from integration_tests.report.documents import Document
    from integration_tests.targets.interface import Target

UNUSABLE = (
    *(OSError, BotoCoreError, ClientError, TargetError, TerraformError),
    *(OptionsError, RuleError, DocumentError, LimitsError, NoConnectionError, WorkerError),
)
"""Errors that end a command with a sentence and status 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every limit holds, 1 if one is broken, 2 if there could be no run, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m integration_tests.load", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, add, carry_out, purpose in (
        ("run", options.add_run, load, "thousands of clients, every message accounted for"),
        ("bench", options.add_bench, benchmark, "how long a message takes to all members of a room"),
        ("sweep", options.add_sweep, clean_up, "remove items that earlier runs left in a stage's table"),
    ):
        subparser = commands.add_parser(name, allow_abbrev=False, help=purpose)
        add(subparser)
        subparser.set_defaults(command=carry_out)
    given = parser.parse_args(arguments)
    given.typed = without_secrets(sys.argv[1:] if arguments is None else arguments)
    if threading.current_thread() is threading.main_thread():
        command.heed_signals()
    try:
        return attempt(given.command, given)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; everything is closed and removed\n")
        return 130


def attempt(carry_out: Callable[[argparse.Namespace], int], given: argparse.Namespace) -> int:
    """Carry out a command; print a sentence if it could not be."""
    status = 2
    try:
        status = carry_out(given)
    except* UNUSABLE as errors:
        sentences = [credentials.hidden(str(error)) or type(error).__name__ for error in leaves(errors)]
        sys.stderr.writelines(f"{sentence}\n" for sentence in dict.fromkeys(sentences))
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
    previous = load_previous(given.previous, limits) if given.previous else None
    target = options.target_of(given)
    plan = plan_of(given, target.default_connections)
    check_budget(target, budget.usage(plan), accepted=given.i_accept_the_cost)
    given.report_dir.mkdir(parents=True, exist_ok=True)  # after the run it would be too late to find out
    document = judge(measure(plan, target, given.typed), limits, previous)
    paths = write(document, given.report_dir)
    for sentence in [*summary(document), f"report: {paths['html']}"]:
        say(sentence)
    return 0 if document["passed"] else 1


def benchmark(given: argparse.Namespace) -> int:
    """Carry out the fan-out benchmark and write its JSON."""
    target = options.target_of(given)
    plans = bench_plans_of(given)
    check_budget(target, budget.usage(*plans), accepted=given.i_accept_the_cost)
    file: Path = given.output or Path("build/bench") / f"fan-out-{target.name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)  # after the run it would be too late to find out
    with target:
        results = event_loops.run(bench.measure(target.deployment.websocket_url, plans, say))
        document = document_of(target, plans, results)
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    say(f"result: {file}")
    if all(is_clean(result) for result in results):
        return 0
    say("FAILED: not every message was acknowledged and came to every member once, unaltered")
    return 1


def clean_up(given: argparse.Namespace) -> int:
    """Remove items that runs against a live stage left in its table."""
    live = Live(None, given.outputs)
    assert live.aws is not None
    if missing := [name for name in ConnectionsTable.OUTPUTS if not live.deployment.outputs.get(name)]:
        raise TargetError(f"{given.outputs} does not hold the outputs {', '.join(missing)}")
    table = ConnectionsTable.of_stage(live.aws.dynamodb, live.deployment.outputs)
    sweep(table, older_than=given.older_than, dry_run=given.dry_run, show=say)
    return 0


def say(sentence: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def measure(plan: Plan, target: Target, typed: str) -> Document:
    """Prepare the target, carry out a plan, and return the measurements."""
    with display_of(plan) as display, target:
        target.failed = True
        result = event_loops.run(run(plan, target, display, typed))
        target.failed = not result.verdict.total.clean or result.verdict.total.empty
    return result.document()


def check_budget(target: Target, usage: budget.Usage, *, accepted: bool) -> None:
    """Print the estimated cost of a run on a live stage.

    Raises:
        OptionsError: It is above the ceiling and was not accepted.
    """
    if target.name != Live.name:
        return
    say(str(usage))
    if not (usage.is_small or accepted):
        raise OptionsError(
            f"a live stage is spared more than {budget.CONNECTIONS_CEILING} connections or {budget.MESSAGES_CEILING:,} "
            "messages unless you add --i-accept-the-cost"
        )


if __name__ == "__main__":
    sys.exit(main())
