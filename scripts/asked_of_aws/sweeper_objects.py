"""The schedule that invokes the sweeper, and its role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.asked_of_aws.policies import allow, document
from scripts.asked_of_aws.settings import FUNCTION

if TYPE_CHECKING:
    from scripts.asked_of_aws.settings import Run, Table

SCHEDULE_ROLE_ARN = "arn:aws-cn:iam::111122223333:role/mocked-schedule"


def of_sweeper(run: Run) -> Table:
    """Return the objects of the sweeper besides its function."""
    role, alias = f"{run.name}-schedule-cn-north-1", f"{FUNCTION}:mocked-sweeper:live"
    source = {
        "aws:SourceAccount": "111122223333",
        "aws:SourceArn": "arn:aws-cn:scheduler:cn-north-1:111122223333:schedule-group/default",
    }
    trust = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}}
    return {
        "module.backend.aws_iam_role.schedule[0]": {
            "name": role,
            "description": f"What the schedule {run.name}-sweeper may do.",
            "path": run.defaults.role_path,
            "permissions_boundary": run.boundary,
            "tags": run.tags,
            "assume_role_policy": document({**trust, "Condition": {"StringEquals": source}}),
        },
        "module.backend.aws_iam_role_policy.schedule[0]": {
            "name": "invoke",
            "role": "role-id-schedule",
            "policy": document(allow("InvokeSweeper", "lambda:InvokeFunction", alias)),
        },
        "module.backend.aws_iam_role_policies_exclusive.schedule[0]": {"policy_names": ["invoke"], "role_name": role},
        "module.backend.aws_iam_role_policy_attachments_exclusive.schedule[0]": {"policy_arns": [], "role_name": role},
        "module.backend.aws_scheduler_schedule.sweeper[0]": {
            "name": f"{run.name}-sweeper",
            "description": f"Counts the connections of the Roomcast backend {run.name}, and sweeps.",
            "flexible_time_window": [{"mode": "OFF"}],
            "schedule_expression": "rate(5 minutes)",
            "target": [
                {
                    "arn": alias,
                    "retry_policy": [{"maximum_event_age_in_seconds": 60, "maximum_retry_attempts": 0}],
                    "role_arn": SCHEDULE_ROLE_ARN,
                }
            ],
        },
    }
