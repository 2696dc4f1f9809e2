"""The findings as `make lint` shows them: checkov really finds the faults in a copy of terraform/."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from scripts.security.findings import CONFIGURATION, main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PLANTED = """
resource "aws_sqs_queue" "plain" {
  name                    = "plain"
  sqs_managed_sse_enabled = false
}

resource "aws_lambda_permission" "open" {
  action        = "lambda:InvokeFunction"
  function_name = "any"
  principal     = "*"
}

resource "aws_cloudwatch_log_group" "skipped" {
  # checkov:skip=CKV_AWS_158: a comment in place of a row
  name              = "skipped"
  retention_in_days = 400
}
"""


def test_faults_of_a_copy_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "terraform"
    shutil.copytree(CONFIGURATION, copy, ignore=shutil.ignore_patterns(".terraform*", "tests"))
    (copy / "planted.tf").write_text(PLANTED, encoding="utf-8")
    (copy / "unreadable.tf").write_text('resource "aws_sqs_queue" {{\n', encoding="utf-8")

    assert main(copy) == 1

    told = capsys.readouterr().err
    assert "terraform/planted.tf: aws_sqs_queue.plain fails CKV_AWS_27" in told
    assert "terraform/planted.tf: aws_lambda_permission.open fails CKV_AWS_301" in told
    assert "terraform/planted.tf: a comment skips CKV_AWS_158" in told
    assert "unreadable.tf: checkov cannot read it" in told
    assert "modules/" not in told


def test_nothing_to_check_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path) == 1

    assert "checkov checked nothing" in capsys.readouterr().err
