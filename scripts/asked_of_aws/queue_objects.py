"""The objects of the module ``fanout-queue``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from scripts.asked_of_aws.policies import document
from scripts.asked_of_aws.settings import FUNCTION, Queue

if TYPE_CHECKING:
    from scripts.asked_of_aws.settings import Run, Settings, Table

ARN = "arn:aws-cn:sqs:cn-north-1:111122223333:"
URL = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/"


class Names(NamedTuple):
    """Names of one queue.

    Attributes:
        call: The module call.
        suffix: What follows the backend's name in its own.
        function: The function that serves it.
        messages: Its name in the ARN and URL that the mocks give it.
        dead_letters: The same of its dead-letter queue.
    """

    call: str
    suffix: str
    function: str
    messages: str
    dead_letters: str


FANOUT = Names("fanout_queue", "fanout", "fanout_worker", "messages", "dead-letters")
PUBLISH = Names("publish_queue", "publish", "publish", "publish", "publish-dead-letters")
PRESENCE = Names("presence_queue", "presence", "presence", "rooms", "dead-rooms")


class Pair(NamedTuple):
    """A queue and its dead-letter queue, by name.

    Attributes:
        messages: The queue.
        dead_letters: Its dead-letter queue.
    """

    messages: str
    dead_letters: str


def queues_of(run: Run) -> dict[str, Pair]:
    """Return the queues that a run has, as alarms and the dashboard call them."""
    kinds = {"fanout": bool(run.queue), "presence": bool(run.presence), "publish": bool(run.backends.queue)}
    ends = {"fanout": ".fifo"} if run.queue and run.queue.fifo else {}
    return {
        kind: Pair(*(f"{run.name}-{kind}{part}{ends.get(kind, '')}" for part in ("", "-dead-letters")))
        for kind, exists in kinds.items()
        if exists
    }


def of_presence(run: Run) -> Table:
    """Return all objects of the presence queue."""
    return of_queue(run, Queue(batch_size=5, timeout=20, key=run.queue_key), PRESENCE)


def of_publish_queue(run: Run) -> Table:
    """Return all objects of the queue of messages to publish."""
    return of_queue(run, Queue(timeout=30, key=run.backends.queue_key), PUBLISH, run.backends.publishers)


def of_queue(run: Run, queue: Queue, names: Names = FANOUT, senders: tuple[str, ...] = ()) -> Table:
    """Return all objects of a queue of ``modules/fanout-queue``.

    Args:
        run: The run.
        queue: The queue's settings.
        names: Its names.
        senders: Who else may send to it: ARNs, and services.
    """
    module = f"module.backend.module.{names.call}[0]"
    messages_arn, dead_letters_arn = f"{ARN}{names.messages}", f"{ARN}{names.dead_letters}"
    suffix = ".fifo" if queue.fifo else ""
    encryption = {"kms_master_key_id": queue.key} if queue.key else {"sqs_managed_sse_enabled": True}
    timeout = run.functions.get(names.function, {}).get("timeout", queue.timeout)
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
            "name": f"{run.name}-{names.suffix}{suffix}",
            "message_retention_seconds": 86400,
            "visibility_timeout_seconds": 6 * timeout,
            "redrive_policy": {"deadLetterTargetArn": dead_letters_arn, "maxReceiveCount": 5},
        },
        f"{module}.aws_sqs_queue.dead_letters": {
            **both,
            "name": f"{run.name}-{names.suffix}-dead-letters{suffix}",
            "message_retention_seconds": 1209600,
        },
        f"{module}.aws_sqs_queue_redrive_allow_policy.dead_letters": {
            "queue_url": f"{URL}{names.dead_letters}-id",
            "redrive_allow_policy": {"redrivePermission": "byQueue", "sourceQueueArns": [messages_arn]},
        },
        f"{module}.aws_lambda_event_source_mapping.this": {
            "batch_size": queue.batch_size,
            "event_source_arn": messages_arn,
            "function_name": f"{FUNCTION}:mocked-{names.function}:live",
            "function_response_types": ["ReportBatchItemFailures"],
            "scaling_config": [{"maximum_concurrency": queue.concurrency}],
        },
        f'{module}.aws_sqs_queue_policy.tls_only["messages"]': {
            "queue_url": f"{URL}{names.messages}-id",
            "policy": document(_tls_only(messages_arn), *_senders(messages_arn, senders)),
        },
        f'{module}.aws_sqs_queue_policy.tls_only["dead_letters"]': {
            "queue_url": f"{URL}{names.dead_letters}-id",
            "policy": document(_tls_only(dead_letters_arn)),
        },
    }


def _tls_only(arn: str) -> Settings:
    return {
        "Sid": "RefuseWithoutTls",
        "Action": "sqs:*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        "Effect": "Deny",
        "Principal": "*",
        "Resource": arn,
    }


def _senders(arn: str, principals: tuple[str, ...]) -> list[Settings]:
    """Return the statements for accounts, roles and users, and for services on behalf of the queue's account."""
    named = sorted(each for each in principals if each.startswith("arn:"))
    services = sorted({*principals} - {*named})
    send = {"Action": "sqs:SendMessage", "Effect": "Allow", "Resource": arn}
    own = {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    return [
        *([{**send, "Sid": "AllowSenders", "Principal": {"AWS": named}}] if named else []),
        *([{**send, "Sid": "AllowServices", "Principal": {"Service": services}, "Condition": own}] if services else []),
    ]
