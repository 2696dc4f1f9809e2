"""Configuration: the environment variables that Terraform sets on every function.

Endpoints follow the AWS SDKs' rule: ``AWS_ENDPOINT_URL_<SERVICE>``, else ``AWS_ENDPOINT_URL``, else the service's
endpoint in the function's Region and partition
(https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
"""

from __future__ import annotations

import os
from typing import NamedTuple


class Settings(NamedTuple):
    """What a function is configured with.

    Attributes:
        region: AWS Region the function runs in.
        table_name: Name of the connections table.
        dynamodb_endpoint: Base URL of DynamoDB.
        management_endpoint: Base URL of the API's ``@connections``, stage or base path mapping included.
        shards_per_room: Number of partitions that new members of a room are spread over, at least 1.
        shards_read: Number of partitions that a room's members are read from, at least ``shards_per_room``. It rises
            one deployment before ``shards_per_room`` does, so that every reader covers every writer at every moment.
        pace: Posts per second and invocation, 0 for no limit.
        sqs_endpoint: Base URL of SQS.
        queue_url: URL of the fan-out queue; empty when messages are delivered without one.
        queue_is_fifo: Whether the queue keeps the order of messages.
    """

    region: str
    table_name: str
    dynamodb_endpoint: str
    management_endpoint: str
    shards_per_room: int
    shards_read: int
    pace: float
    sqs_endpoint: str
    queue_url: str
    queue_is_fifo: bool


def from_environment() -> Settings:
    """Read the settings.

    Raises:
        KeyError: A variable that has no default is missing; it names the variable.
        ValueError: A number is not a number, or too small.
    """
    shards_per_room = int(os.environ.get("ROOMCAST_SHARDS_PER_ROOM") or 1)
    if shards_per_room < 1:
        raise ValueError(f"ROOMCAST_SHARDS_PER_ROOM must be at least 1: {shards_per_room}")
    shards_read = int(os.environ.get("ROOMCAST_SHARDS_READ") or shards_per_room)
    return Settings(
        region=os.environ["AWS_REGION"],
        table_name=os.environ["ROOMCAST_TABLE_NAME"],
        dynamodb_endpoint=service_endpoint("dynamodb"),
        management_endpoint=os.environ["ROOMCAST_MANAGEMENT_ENDPOINT"],
        shards_per_room=shards_per_room,
        # Never fewer than are written to: a member in a partition that is not read misses every message.
        shards_read=max(shards_read, shards_per_room),
        pace=float(os.environ.get("ROOMCAST_PACE", "0")),
        sqs_endpoint=service_endpoint("sqs"),
        queue_url=os.environ.get("ROOMCAST_QUEUE_URL", ""),
        queue_is_fifo=os.environ.get("ROOMCAST_QUEUE_FIFO", "false") == "true",
    )


def service_endpoint(service: str) -> str:
    """Base URL of an AWS service, for example ``dynamodb``, in this function's Region and partition."""
    configured = os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL")
    if configured:
        return configured
    suffix = os.environ.get("ROOMCAST_DNS_SUFFIX", "amazonaws.com")
    return f"https://{service}.{os.environ['AWS_REGION']}.{suffix}"
