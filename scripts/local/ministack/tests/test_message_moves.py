"""Dead letters that are handed to the workers again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local.ministack.tests.apis import client

GROUP = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}


def queue(sqs: Any, name: str, dead: str | None = None) -> tuple[str, str]:
    """Create a queue; return its URL and ARN."""
    attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    if dead is not None:
        attributes |= {
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 1}),
            "VisibilityTimeout": "0",
        }
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def received(sqs: Any, url: str) -> list[Any]:
    """Receive what a queue has."""
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])
    return list(answer.get("Messages", []))


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_they_go_back_to_their_queue_as_new_messages(corrected: str, suffix: str) -> None:
    sqs: Any = client("sqs", corrected)
    dead_url, dead = queue(sqs, f"moves-dead{suffix}")
    url, _ = queue(sqs, f"moves{suffix}", dead)
    sqs.send_message(QueueUrl=url, MessageBody="lost", **(GROUP if suffix else {}))
    [first] = received(sqs, url)
    assert received(sqs, url) == []  # it has gone to the dead letters
    assert (
        sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["All"])["Attributes"]["ApproximateNumberOfMessages"]
        == "1"
    )

    assert sqs.start_message_move_task(SourceArn=dead)["TaskHandle"]

    [again] = received(sqs, url)
    assert (again["Body"], again["Attributes"]["ApproximateReceiveCount"]) == ("lost", "1")
    assert again["MessageId"] != first["MessageId"]
    assert received(sqs, dead_url) == []


def test_a_queue_that_has_no_dead_letters_is_refused(corrected: str) -> None:
    sqs: Any = client("sqs", corrected)
    _, arn = queue(sqs, "moves-of-nobody")

    with pytest.raises(ClientError, match="must be configured as a Dead Letter Queue"):
        sqs.start_message_move_task(SourceArn=arn)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        sqs.start_message_move_task(SourceArn=f"{arn}-none")


def test_plain_one_moves_nothing(plain: str) -> None:
    sqs: Any = client("sqs", plain)
    _, arn = queue(sqs, "moves-plain")

    with pytest.raises(ClientError, match="InvalidAction"):
        sqs.start_message_move_task(SourceArn=arn)
