"""pip-audit's reports: a vulnerability is told, and so is everything that was not audited."""

from __future__ import annotations

import json
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scripts.repository import REPOSITORY
from scripts.security import audit
from scripts.security.audit import NOT_AUDITED, VULNERABLE, NotAuditedError, locks, vulnerabilities
from scripts.tests.trees import write_tree

if TYPE_CHECKING:
    from pathlib import Path

SOUND = {"name": "six", "version": "1.17.0", "vulns": []}
SKIPPED = {"name": "wsproto", "skip_reason": "Dependency not found on PyPI and could not be audited"}
BAD = {"name": "pyjwt", "version": "2.9.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.10.1"], "aliases": []}]}
UNREPAIRED = {"name": "cffi", "version": "1.0", "vulns": [{"id": "PYSEC-2", "fix_versions": [], "aliases": []}]}


def test_vulnerabilities_are_named_with_their_repair() -> None:
    assert [*vulnerabilities({"dependencies": [SOUND, BAD, UNREPAIRED]})] == [
        "pyjwt 2.9.0 has PYSEC-1, which 2.10.1 repairs",
        "cffi 1.0 has PYSEC-2, which no version repairs",
    ]


@pytest.mark.parametrize("packages", [[SOUND, SKIPPED], [SKIPPED], []])
def test_a_package_without_an_answer_is_not_audited(packages: list[Any]) -> None:
    with pytest.raises(NotAuditedError, match=r"wsproto|any"):
        [*vulnerabilities({"dependencies": packages})]


@pytest.mark.parametrize(
    "case",
    [
        (f"echo '{json.dumps({'dependencies': [SOUND]})}'", 0, ""),
        (f"echo '{json.dumps({'dependencies': [BAD]})}'; exit 1", VULNERABLE, "a.lock: pyjwt 2.9.0 has PYSEC-1"),
        ("echo 'ConnectionError: no such host' >&2; exit 1", NOT_AUDITED, "not audited: pip-audit could not reach"),
        (f"echo '{json.dumps({'dependencies': [SKIPPED]})}'", NOT_AUDITED, "answered for 0 of 1"),
        ("exit 0", NOT_AUDITED, "not audited"),
    ],
    ids=["sound", "vulnerable", "unreachable", "unknown", "silent"],
)
def test_the_exit_status_tells_vulnerable_from_not_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: tuple[str, int, str]
) -> None:
    answer, status, told = case
    write_tree(tmp_path, {"handlers/a.lock": "six==1\n", "bin/pip-audit": f"#!/bin/sh\n{answer}\n"})
    (tmp_path / "bin" / "pip-audit").chmod(stat.S_IRWXU)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr(audit, "REPOSITORY", tmp_path)

    assert audit.main() == status

    printed = capsys.readouterr()
    assert told in printed.err
    assert bool(printed.err) == bool(status)


def test_every_lock_of_the_repository_is_audited() -> None:
    found = [str(file.relative_to(REPOSITORY)) for file in locks(REPOSITORY)]

    assert "scripts/local/ministack-requirements.txt" in found
