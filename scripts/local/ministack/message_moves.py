"""StartMessageMoveTask: dead letters go back to the queues that they come from."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions
from ministack.services import sqs

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable

ACTION = "StartMessageMoveTask"


def install() -> None:
    """Let requests reach this module."""
    sqs._HANDLERS[ACTION] = start_message_move_task


def start_message_move_task(data: Any, _url: str) -> dict[str, str]:
    """Move all messages of a dead-letter queue, which become new ones in the queues that they come from.

    See https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html

    Raises:
        sqs._Err: There is no such queue, or it is no dead-letter queue.
    """
    source = sqs._queue_by_arn(data.get("SourceArn", ""))
    if source is None:
        raise sqs._Err("ResourceNotFoundException", "The resource that you specified for the SourceArn doesn't exist.")
    origins = [queue for queue in sqs._queues.values() if letters_of(queue) == data["SourceArn"]]
    if not origins:
        raise sqs._Err("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
    named = {queue["attributes"]["QueueArn"]: queue for queue in origins}
    sqs._expire_retained(source)
    messages, source["messages"] = source["messages"], []
    for message in messages:
        target = named.get(message.get("sys", {}).get("DeadLetterQueueSourceArn", ""), origins[0])
        target["messages"].append(_as_new(message, target))
    sqs.esm_wake.set()
    return {"TaskHandle": str(uuid.uuid4())}


def letters_of(queue: Any) -> str:
    """Return the ARN of a queue's dead-letter queue, or an empty text."""
    policy = queue["attributes"].get("RedrivePolicy")
    return str(json.loads(policy).get("deadLetterTargetArn", "")) if policy else ""


def _as_new(message: Any, target: Any) -> dict[str, Any]:
    now = time.time()
    system = {name: value for name, value in message.get("sys", {}).items() if name != "DeadLetterQueueSourceArn"}
    moved = {
        **message,
        "id": str(uuid.uuid4()),
        "enqueued_at": now,
        "first_receive_at": None,
        "receipt_handle": None,
        "receive_count": 0,
        "sent_at": now,
        "sys": {**system, "SentTimestamp": str(int(now * 1000))},
        "visible_at": now,
    }
    if target["is_fifo"]:
        target["fifo_seq"] += 1
        moved["seq"] = str(target["fifo_seq"]).zfill(20)
    return moved


@replaces(iam_actions, "extract_resource_arn")
def extract_resource_arn(original: Callable[..., str], service: str, *request: Any) -> str:
    """Return the ARN of what a request is about: of the queue that messages are moved from."""
    found = original(service, *request)
    if service == "sqs":
        body = next((each for each in request if isinstance(each, bytes)), b"")
        try:
            return str(json.loads(body)["SourceArn"])
        except (ValueError, KeyError, TypeError):
            return found
    return found
