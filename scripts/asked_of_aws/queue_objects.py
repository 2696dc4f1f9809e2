"""The objects of the module ``fanout-queue``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.asked_of_aws.policies import QUEUE_ARN, document
from scripts.asked_of_aws.settings import FUNCTION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.asked_of_aws.functions import Function
    from scripts.asked_of_aws.settings import Queue, Run, Settings, Table

    Functions = Mapping[str, Function]

DEAD_LETTERS_ARN = "arn:aws-cn:sqs:cn-north-1:111122223333:dead-letters"


def of_queue(run: Run, queue: Queue) -> Table:
    """Return all objects of ``modules/fanout-queue``."""
    module = "module.backend.module.fanout_queue[0]"
    suffix = ".fifo" if queue.fifo else ""
    encryption = {"kms_master_key_id": queue.key} if queue.key else {"sqs_managed_sse_enabled": True}
    both: Settings = {"max_message_size": 262144, "tags": run.tags, **encryption}
    if queue.fifo:
        both |= {
            "deduplication_scope": "messageGroup",
            "fifo_queue": True,
            "fifo_throughput_limit": "perMessageGroupId",
        }
    return {
        f"{module}.aws_sqs_queue.messages": {
            **both,
            "name": f"{run.name}-fanout{suffix}",
            "message_retention_seconds": 86400,
            "visibility_timeout_seconds": 6 * queue.timeout,
            "redrive_policy": {"deadLetterTargetArn": DEAD_LETTERS_ARN, "maxReceiveCount": 5},
        },
        f"{module}.aws_sqs_queue.dead_letters": {
            **both,
            "name": f"{run.name}-fanout-dead-letters{suffix}",
            "message_retention_seconds": 1209600,
        },
        f"{module}.aws_sqs_queue_redrive_allow_policy.dead_letters": {
            "queue_url": "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/dead-letters-id",
            "redrive_allow_policy": {"redrivePermission": "byQueue", "sourceQueueArns": [QUEUE_ARN]},
        },
        f"{module}.aws_lambda_event_source_mapping.this": {
            "batch_size": queue.batch_size,
            "event_source_arn": QUEUE_ARN,
            "function_name": f"{FUNCTION}:mocked-fanout_worker",
            "function_response_types": ["ReportBatchItemFailures"],
            "scaling_config": [{"maximum_concurrency": queue.concurrency}],
        },
        **{
            f'{module}.aws_sqs_queue_policy.tls_only["{name.replace("-", "_")}"]': {
                "queue_url": f"https://sqs.cn-north-1.amazonaws.com.cn/111122223333/{name}-id",
                "policy": document(
                    {
                        "Sid": "RefuseWithoutTls",
                        "Action": "sqs:*",
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        "Effect": "Deny",
                        "Principal": "*",
                        "Resource": arn,
                    }
                ),
            }
            for name, arn in (("messages", QUEUE_ARN), ("dead-letters", DEAD_LETTERS_ARN))
        },
    }
