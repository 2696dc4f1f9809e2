"""Accepted findings: each has a reason and is still found, and every other finding is a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scripts.security.findings import ACCEPTED, CONFIGURATION, Finding, FindingsError, faults, read_accepted

if TYPE_CHECKING:
    from pathlib import Path

REASON = "Lambda encrypts the environment with a key of its own."
FINDING = Finding("CKV_AWS_173", "modules/handler/main.tf", "aws_lambda_function.this")


def report(*failed: Finding, module: str = "", skipped: tuple[Finding, ...] = (), unread: tuple[str, ...] = ()) -> Any:
    """Return a report in checkov's form."""

    def result(finding: Finding) -> dict[str, str]:
        return {
            "check_id": finding.check,
            "check_name": "a check's name",
            "file_path": f"/{finding.file}",
            "resource": module + finding.resource,
        }

    return {
        "results": {
            "failed_checks": [result(finding) for finding in failed],
            "skipped_checks": [result(finding) for finding in skipped],
            "parsing_errors": [*unread],
        }
    }


@pytest.mark.parametrize("module", ["", "module.me.", 'module.chat.module.handler["a.b"].'])
def test_an_accepted_finding_is_no_fault_in_any_instance_of_its_module(module: str) -> None:
    assert [*faults(report(FINDING, module=module), {FINDING: REASON})] == []


@pytest.mark.parametrize("instance", ["", '["$connect"]', '["a.b"]'])
@pytest.mark.parametrize("field", Finding._fields)
def test_a_finding_that_differs_from_the_accepted_ones_is_a_fault(field: str, instance: str) -> None:
    other = FINDING._replace(**{field: "aws_lambda_function.other" if field == "resource" else "other"})

    told = [*faults(report(FINDING, other._replace(resource=other.resource + instance)), {FINDING: REASON})]

    assert len(told) == 1
    assert all(part in told[0] for part in (*other, "a check's name", "accepted.toml"))


def test_an_accepted_finding_that_is_gone_is_a_fault() -> None:
    assert [sentence for sentence in faults(report(), {FINDING: REASON}) if "delete the row" in sentence]


def test_a_skipping_comment_is_a_fault() -> None:
    told = [*faults(report(FINDING, skipped=(FINDING,)), {FINDING: REASON})]

    assert told[0].startswith("terraform/modules/handler/main.tf: a comment skips CKV_AWS_173")


def test_an_unreadable_file_is_a_fault() -> None:
    assert "cannot read it" in next(iter(faults(report(unread=("terraform/x.tf",)), {})))


@pytest.mark.parametrize(
    "row",
    [
        'check = "a"\nfile = "b"\nresource = "c"',
        'check = "a"\nfile = "b"\nresource = "c"\nreason = "false positive"',
        f'check = "a"\nfile = "b"\nresource = "c"\nreason = "{REASON}"\nline = 3',
        "\n[[accepted]]\n".join([f'check = "a"\nfile = "b"\nresource = "c"\nreason = "{REASON}"'] * 2),
    ],
    ids=["no reason", "short reason", "unknown field", "twice"],
)
def test_an_incomplete_row_is_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "accepted.toml").write_text(f"[[accepted]]\n{row}\n", encoding="utf-8")

    with pytest.raises(FindingsError):
        read_accepted(tmp_path / "accepted.toml")


def test_accepted_findings_name_files_that_exist() -> None:
    accepted = read_accepted(ACCEPTED)

    assert accepted
    assert [finding for finding in accepted if not (CONFIGURATION / finding.file).is_file()] == []
