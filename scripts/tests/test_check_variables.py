"""Variables that get lost, swapped or replaced between Terraform modules are found."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from scripts import check_variables
from scripts.check_variables import find_faults
from scripts.repository import REPOSITORY
from scripts.terraform_files import CONFIGURATION

if TYPE_CHECKING:
    from pathlib import Path

ROOT = "terraform/main.tf"
BACKEND = "terraform/modules/backend/main.tf"
FUNCTIONS = "terraform/modules/backend/functions.tf"
QUEUE = "terraform/modules/backend/queue.tf"
HANDLER = "terraform/modules/handler/main.tf"
API = "terraform/modules/websocket-api/main.tf"
API_OUTPUTS = "terraform/modules/websocket-api/outputs.tf"
TABLE_OUTPUTS = "terraform/modules/connections-table/outputs.tf"
ZIPS = "terraform/modules/zips/main.tf"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the configuration for changes."""
    for file in (REPOSITORY / CONFIGURATION).rglob("*.tf"):
        copy = tmp_path / file.relative_to(REPOSITORY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    return tmp_path


def test_nothing_is_dropped_or_swapped() -> None:
    """The present configuration has no fault."""
    assert find_faults(REPOSITORY) == []


@pytest.mark.parametrize(
    ("file", "line", "instead", "fault"),
    [
        (ROOT, "  log_level                       = var.log_level\n", "", "log_level is not handed on"),
        (ROOT, "= var.log_retention_days", "= var.shards_per_room", "made of shards_per_room"),
        (ROOT, "= var.log_retention_days", "= 30", "log_retention_days is made of no variable"),
        (ROOT, "= var.tags", "= merge(var.tags, {})", "tags is merge(var.tags, {})"),
        (ROOT, "= var.throttling_burst_limit", "= var.throttling_rate_limit", "made of throttling_rate_limit"),
        (
            FUNCTIONS,
            "  permissions_boundary_arn = var.permissions_boundary_arn\n",
            "",
            "permissions_boundary_arn is not",
        ),
        (FUNCTIONS, "= each.value.memory_size", "= each.value.timeout", "memory_size is made of timeout"),
        (FUNCTIONS, "  memory_size              = each.value.memory_size\n", "", "memory_size is not handed on"),
        (BACKEND, "= var.table_deletion_protection", "= var.point_in_time_recovery", "deletion_protection is made of"),
        (BACKEND, "= var.table_kms_key_arn\n  point", "= var.log_kms_key_arn\n  point", "kms_key_arn is made of"),
        (BACKEND, "= try(route.throttling_burst_limit, null)", "= null", "routes hands on"),
        (BACKEND, "= route.throttling_rate_limit\n", "= route.throttling_burst_limit\n", "routes hands on"),
        (BACKEND, "        timeout_milliseconds   = route.timeout_milliseconds\n", "", "routes is made of"),
        (
            BACKEND,
            "= aws_lambda_permission.additional_route[route_key].id",
            "= null",
            "no longer to aws_lambda_permission",
        ),
        (
            HANDLER,
            "log_group             = aws_cloudwatch_log_group.this.name",
            'log_group             = "/aws/lambda/${var.name}"',
            "aws_lambda_function.this refers no longer to aws_cloudwatch_log_group.this",
        ),
        (
            HANDLER,
            "[aws_iam_role_policy.logs.name, aws_iam_role_policy.task.name]",
            '["logs", "task"]',
            "refers no longer to aws_iam_role_policy.logs, aws_iam_role_policy.task",
        ),
        (
            HANDLER,
            "= aws_iam_role.this.name\n  policy_arns",
            "= local.role_name\n  policy_arns",
            "no longer to aws_iam_role",
        ),
        (
            QUEUE,
            "one([for queue in terraform_data.queue : queue.input.fifo])",
            "var.queued_delivery.fifo",
            "_data.queue",
        ),
        (API_OUTPUTS, "= aws_apigatewayv2_stage.this.name", "= var.stage_name", "stage_name refers no longer"),
        (TABLE_OUTPUTS, "aws_dynamodb_table.this[0].name", "var.name", "table_name refers no longer"),
        (QUEUE, "= var.queued_delivery.batch_size", "= var.queued_delivery.maximum_concurrency", "batch_size is made"),
        (HANDLER, "= var.memory_size", "= 256", "memory_size is used by nothing"),
        (
            API,
            "  depends_on = [aws_apigatewayv2_stage.this]\n",
            "",
            "depends_on = [aws_apigatewayv2_stage.this] is gone",
        ),
        (API, "  depends_on = [aws_apigatewayv2_route.this]\n", "  depends_on = []\n", "is gone"),
        (
            API,
            "  tags          = var.tags\n",
            "  tags          = var.tags\n  lifecycle {\n    create_before_destroy = true\n  }\n",
            "create_before_destroy = true",
        ),
        (
            HANDLER,
            "  policy = var.policy\n",
            "  policy = var.policy\n  lifecycle {\n    ignore_changes = [policy]\n  }\n",
            "ignore_changes = [policy]",
        ),
        (
            FUNCTIONS,
            "  to   = module.zips.terraform_data.build\n",
            "  to   = module.zips.terraform_data.other\n",
            "is gone",
        ),
        (API, "    destroy = false\n", "    destroy = true\n", "removed destroy = false is gone"),
        (ZIPS, "      tags = {}\n", "", "override_provider tags = {} is gone"),
        ("terraform/outputs.tf", "= module.backend.fanout_queue_url", "= module.backend.api_id", "fanout_queue_url is"),
        ("terraform/modules/handler/outputs.tf", ", aws_lambda_permission.this]", "]", "is gone"),
        ("terraform/variables.tf", "  default     = 30\n", "  default     = 7\n", "another default"),
        ("terraform/variables.tf", "  default     = 30\n", "", "variable log_retention_days has another default"),
        ("terraform/variables.tf", "  nullable    = false\n", "", "access_log_enabled has another nullable"),
        ("terraform/variables.tf", "  nullable    = false\n", "  nullable    = true\n", "has another nullable"),
        ("terraform/variables.tf", "= optional(number)\n", "= number\n", "additional_routes has another type"),
        ("terraform/variables.tf", '  description = "', '  description = "Not ', "has another description"),
        ("terraform/modules/backend/variables.tf", "  default     = false\n", "", "enabled has another default"),
        (
            "terraform/variables.tf",
            'variable "pace" {\n',
            'variable "pace" {\n  validation {\n    condition     = true\n    error_message = "No."\n  }\n',
            "variable pace has a validation",
        ),
        ("terraform/variables.tf", 'variable "pace"', 'variable "speed"', "variable speed is one of the root"),
    ],
)
def test_each_fault_is_found(repository: Path, file: str, line: str, instead: str, fault: str) -> None:
    """One edit yields one sentence, or several if it affects several places."""
    text = (repository / file).read_text()
    assert line in text
    (repository / file).write_text(text.replace(line, instead, 1))
    found = find_faults(repository)
    assert any(fault in sentence for sentence in found), found


def test_the_exit_status_tells_whether_there_are_faults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for faults, status in ([], 0), (["dropped"], 1):
        monkeypatch.setattr(check_variables, "find_faults", lambda _, faults=faults: faults)
        assert check_variables.main() == status
        assert capsys.readouterr().err.splitlines() == [f"check_variables: {fault}" for fault in faults]
