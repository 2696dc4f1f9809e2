"""Condition keys of policies."""

from __future__ import annotations

import json
import secrets

import pytest

from scripts.local.ministack.tests.apis import client


def test_a_queue_that_refuses_requests_without_tls_serves(corrected: str, plain: str) -> None:
    queue = refusing_queue(corrected)
    client("sqs", corrected).send_message(QueueUrl=queue, MessageBody="hello")

    queue = refusing_queue(plain)
    sqs = client("sqs", plain)
    with pytest.raises(sqs.exceptions.ClientError, match="denied"):
        sqs.send_message(QueueUrl=queue, MessageBody="hello")


def refusing_queue(endpoint: str) -> str:
    """Create a queue with a policy that refuses requests without TLS; return its URL."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs = client("sqs", endpoint)
    url: str = sqs.create_queue(QueueName=f"probe-{secrets.token_hex(4)}", Attributes={"Policy": policy})["QueueUrl"]
    return url
