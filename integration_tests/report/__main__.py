"""Judges the JSON of a run and writes its reports; merges the reports of several machines.

python -m integration_tests.report RUN.json
python -m integration_tests.report merge ONE.json OTHER.json ...
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import UndefinedError

from integration_tests.report.documents import DAMAGED, PARTS, DocumentError, load_document
from integration_tests.report.judgement import judge, load_previous
from integration_tests.report.limits import Limits, LimitsError
from integration_tests.report.merging import MERGED_PARTS, merge
from integration_tests.report.metrics import format_number
from integration_tests.report.write import HERE, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.report.documents import Document

MERGE = "merge"
REPORTS = Path("build/reports")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every limit holds, 1 if one is broken, 2 if a file cannot be used."""
    given = [*(sys.argv[1:] if arguments is None else arguments)]
    merging = given[:1] == [MERGE]
    options = parser(merging=merging).parse_args(given[merging:])
    try:
        limits = Limits.load(options.limits)
        previous = load_previous(options.previous, limits) if options.previous else None
        runs = [load_document(path, MERGED_PARTS if merging else PARTS) for path in options.runs]
        run = merge(runs, shlex.join(["python", "-m", "integration_tests.report", *given])) if merging else runs[0]
        return report(run, limits, previous, options.output)
    except (OSError, DocumentError, LimitsError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def report(run: Document, limits: Limits, previous: Document | None, directory: Path) -> int:
    """Judge a run, write its reports and print its summary; return 0 if every limit holds, else 1.

    Raises:
        DocumentError: The run's document is damaged.
    """
    try:
        document = judge(run, limits, previous)
        sentences, paths = summary(document), write(document, directory)
    except (*DAMAGED, UndefinedError) as error:
        raise DocumentError(f"the report of {run['run']['name']} is damaged: {error!r}") from None
    sys.stdout.writelines(f"{sentence}\n" for sentence in [*sentences, f"report: {paths['html']}"])
    return 0 if document["passed"] else 1


def parser(*, merging: bool) -> argparse.ArgumentParser:
    """Return the parser of the command line, for one run or for the merge of several."""
    options = argparse.ArgumentParser(
        prog=f"python -m integration_tests.report{f' {MERGE}' if merging else ''}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("runs", type=Path, nargs="+" if merging else 1, metavar="RUN", help="JSON document of a run")
    options.add_argument("--limits", type=Path, default=HERE / "limits.toml", help="TOML file (default: limits.toml)")
    options.add_argument("--previous", type=Path, help="JSON document of an earlier run to compare with")
    options.add_argument(
        "--output", "--directory", type=Path, default=Path("build/reports"), help="default: build/reports"
    )
    return options


def summary(document: dict[str, Any]) -> list[str]:
    """Return the run in sentences: its counts, failed and undecided checks, changes, and the outcome."""
    checks = [check for check in document["checks"] if check["outcome"] in {"failed", "undecided"}]
    unmeasured = [check["label"].lower() for check in document["checks"] if check["outcome"] == "unmeasured"]
    comparison = document["comparison"] or {"not_comparable": [], "changes": []}
    return [
        counts(document["invariants"], document["departures"]["items_left"]),
        *map(returns, [document["recovery"]] if document.get("recovery") else []),
        *map(took_place, [document["subject"]] if document.get("subject") else []),
        *map(injected, document["faults"]),
        *(f"{check['outcome']}: {check['sentence']}" for check in checks),
        *(f"not compared: {difference}" for difference in comparison["not_comparable"]),
        *(f"{each['outcome']}: {each['sentence']}" for each in comparison["changes"] if each["outcome"] != "same"),
        *([f"not measured: {', '.join(unmeasured)}"] if unmeasured else []),
        *(f"not shown: {sentence}" for sentence in document.get("not_shown", [])),
        f"{document['run']['name']} on {document['run']['target']}: {'passed' if document['passed'] else 'FAILED'}",
    ]


ALWAYS_SAID = ("lost", "missing", "duplicated", "unexpected")
SAID_IF_ANY = (
    *("unsent", "failed", "unanswered", "abandoned", "late", "altered", "reordered"),
    *("receipts_wrong", "receipts_repeated", "receipts_unknown", "broken"),
)


def counts(invariants: dict[str, Any], items_left: int | None) -> str:
    """Return the counts in one line; reports of earlier versions lack some of them."""
    names = [*ALWAYS_SAID, *(name for name in SAID_IF_ANY if invariants.get(name))]
    findings = ", ".join(f"{invariants[name]:,} {name.replace('_', ' ')}" for name in names)
    left = "items left not known" if items_left is None else f"{items_left:,} items left"
    return (
        f"{invariants['acknowledged']:,} of {invariants['attempted']:,} messages acknowledged, "
        f"{invariants['delivered']:,} of {invariants['expected']:,} deliveries: {findings}, {left}"
    )


def returns(recovery: dict[str, Any]) -> str:
    """Return the returns of clients, and what was sent or heard twice, in one line."""
    reasons = "".join(f", {count:,} {reason}" for reason, count in recovery["incomplete"].items())
    if unlogged := recovery.get("unlogged"):
        reasons += f", {unlogged:,} to rooms that keep no messages"
    time = recovery["time"]
    took = f" within {format_number(time['p50_ms'], 'ms')} (p99 {format_number(time['p99_ms'], 'ms')})" if time else ""
    return (
        f"{recovery['returns']:,} returns: {recovery['complete']:,} complete{took}{reasons}, "
        f"{recovery['unanswered']:,} unanswered; {recovery['healed']:,} gaps healed, "
        f"{recovery['doubles_dropped']:,} doubles dropped, {recovery['rollovers']:,} rollovers, "
        f"{recovery['retries_answered']:,} of {recovery['retries']:,} retries answered"
    )


def took_place(subject: dict[str, Any]) -> str:
    """Return how much of what the scenario is about took place, in one line."""
    return f"the scenario took place for {subject['done']:,} of {subject['due']:,} {subject['what']}"


def injected(fault: dict[str, Any]) -> str:
    """Return the effect of one rule."""
    struck = f"struck {fault['struck']:,} of {fault['matched']:,}"
    return f"injected: {fault['rule']} ({fault['fault']} {fault['when']}), {struck}"


if __name__ == "__main__":
    sys.exit(main())
