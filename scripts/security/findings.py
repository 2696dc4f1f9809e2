"""Run checkov on ``terraform/`` and fail on each finding that ``accepted.toml`` does not explain.

Also a fault: an accepted finding that checkov no longer reports, a check that a comment in the code skips, and a file
that checkov cannot read. Documentation: https://www.checkov.io/2.Basics/CLI%20Command%20Reference.html
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONFIGURATION = REPOSITORY / "terraform"
ACCEPTED = Path(__file__).with_name("accepted.toml")
SHORTEST_REASON = 40
"""Characters; a shorter text names no cause."""
OPTIONS = ("--framework", "terraform", "--compact", "--output", "json", "--skip-download")
ADDRESS = re.compile(r'([^.\]]+\.[^.\["]+)(\["[^"]*"\])?$')
"""Type and name at the end of an address like ``module.chat.module.handler["a.b"].aws_iam_role.this["c.d"]``."""


class Finding(NamedTuple):
    """One check that one resource fails.

    Attributes:
        check: Id, like ``CKV_AWS_50``.
        file: Path below the configuration.
        resource: Type and name in that file. All instances of a module have the same findings in common.
    """

    check: str
    file: str
    resource: str


class FindingsError(Exception):
    """The findings or the accepted ones cannot be read; the message says why."""


def read_accepted(file: Path) -> dict[Finding, str]:
    """Return the reason of each accepted finding.

    Raises:
        FindingsError: A row is incomplete, given twice, or its reason is too short to be one.
    """
    accepted: dict[Finding, str] = {}
    for row in tomllib.loads(file.read_text(encoding="utf-8"))["accepted"]:
        if row.keys() != {"check", "file", "resource", "reason"}:
            raise FindingsError(f"a row must have check, file, resource and reason; this one has {', '.join(row)}")
        reason = row.pop("reason")
        finding = Finding(**row)
        if finding in accepted:
            raise FindingsError(f"{finding.check} of {finding.resource} is accepted twice")
        if len(reason) < SHORTEST_REASON:
            raise FindingsError(f"{finding.check} of {finding.resource} needs a reason, which {reason!r} is not")
        accepted[finding] = reason
    return accepted


def run_checkov(configuration: Path) -> Mapping[str, Any]:
    """Return checkov's report.

    Raises:
        FindingsError: It wrote none.
    """
    command = [str(Path(sys.executable).with_name("checkov")), "--directory", str(configuration), *OPTIONS]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(run.stdout)
    except ValueError:
        raise FindingsError(f"checkov wrote no report:\n{run.stderr.strip()}") from None
    if not isinstance(report, dict) or not report.get("summary", {}).get("passed"):
        raise FindingsError(f"checkov checked nothing in {configuration}")
    return report


def faults(report: Mapping[str, Any], accepted: Mapping[Finding, str]) -> Iterator[str]:
    """Yield a sentence for each fault.

    Args:
        report: checkov's report, as it prints it in JSON.
        accepted: Reasons by accepted finding.
    """
    results = report["results"]
    found = {_finding(result): result["check_name"] for result in results["failed_checks"]}
    for finding in sorted(found.keys() - accepted.keys()):
        yield (
            f"terraform/{finding.file}: {finding.resource} fails {finding.check} ({found[finding]}): repair it, or "
            "accept it in scripts/security/accepted.toml with the reason"
        )
    for finding in sorted(accepted.keys() - found.keys()):
        yield (
            f"scripts/security/accepted.toml accepts {finding.check} of {finding.resource} in {finding.file}, which "
            "checkov does not report: delete the row"
        )
    for result in results["skipped_checks"]:
        yield (
            f"terraform/{_finding(result).file}: a comment skips {result['check_id']}: delete it, and accept the "
            "finding in scripts/security/accepted.toml"
        )
    for file in results["parsing_errors"]:
        yield f"{file}: checkov cannot read it, so that nothing in it is checked: write it in simpler HCL"


def _finding(result: Mapping[str, Any]) -> Finding:
    address = ADDRESS.search(result["resource"])
    resource = address[1] if address else result["resource"]
    return Finding(result["check_id"], result["file_path"].lstrip("/"), resource)


def main(configuration: Path = CONFIGURATION) -> int:
    """Print the faults; return the exit status."""
    try:
        found = [*faults(run_checkov(configuration), read_accepted(ACCEPTED))]
    except FindingsError as error:
        found = [str(error)]
    for fault in found:
        print(f"findings: {fault}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
