"""Ask for known vulnerabilities of every package in a lock file.

pip-audit asks PyPI's advisory service. A package that the service does not know, and a service that does not answer,
are told and are an exit status of their own: a lock that was not audited is never green.
Documentation: https://github.com/pypa/pip-audit#readme
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FOLDERS = ("handlers", "integration_tests", "scripts")
OPTIONS = ("--format", "json", "--no-deps", "--disable-pip", "--progress-spinner", "off")
VULNERABLE, NOT_AUDITED = 1, 2
"""Exit statuses."""


class NotAuditedError(Exception):
    """A lock could not be audited; the message says why."""


def locks(repository: Path) -> list[Path]:
    """Return every file that pins packages of Python: ``*.lock`` and ``*requirements.txt``."""
    patterns = ("*.lock", "*requirements.txt")
    return sorted(file for folder in FOLDERS for pattern in patterns for file in (repository / folder).rglob(pattern))


def run_pip_audit(lock: Path) -> Mapping[str, Any]:
    """Return pip-audit's report about a lock.

    Raises:
        NotAuditedError: It wrote none.
    """
    command = [str(Path(sys.executable).with_name("pip-audit")), "--requirement", str(lock), *OPTIONS]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report: Mapping[str, Any] = json.loads(run.stdout)
    except ValueError:
        last = (run.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise NotAuditedError(f"pip-audit could not reach its service, or failed: {last}") from None
    return report


def vulnerabilities(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each known vulnerability.

    Raises:
        NotAuditedError: The service answered for none of the packages, or not for all.
    """
    packages: Sequence[Mapping[str, Any]] = report["dependencies"]
    for package in packages:
        for each in package.get("vulns", []):
            repaired = ", ".join(each["fix_versions"]) or "no version"
            yield f"{package['name']} {package['version']} has {each['id']}, which {repaired} repairs"
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped or not packages:
        raise NotAuditedError(
            f"the service answered for {len(packages) - len(skipped)} of {len(packages)} packages, and not for "
            f"{', '.join(skipped) or 'any'}: is it reachable from here?"
        )


def main() -> int:
    """Audit each lock and print the result; return the exit status."""
    status = 0
    for lock in locks(REPOSITORY):
        name = lock.relative_to(REPOSITORY)
        try:
            report = run_pip_audit(lock)
            for sentence in vulnerabilities(report):
                print(f"audit: {name}: {sentence}", file=sys.stderr)
                status = VULNERABLE
            print(f"audit: {name}: all {len(report['dependencies'])} packages were looked up")
        except NotAuditedError as error:
            print(f"audit: {name} was not audited: {error}", file=sys.stderr)
            status = status or NOT_AUDITED
    return status


if __name__ == "__main__":
    sys.exit(main())
