"""The usual handlers with boto3: query the room, post to all members, delete those that are gone.

``BENCH_POOL`` is the number of threads that post; with 1, a loop posts.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = os.environ["ROOMCAST_TABLE_NAME"]
SHARDS = int(os.environ["ROOMCAST_SHARDS_READ"])
QUEUE_URL = os.environ["ROOMCAST_QUEUE_URL"]
POOL = int(os.environ["BENCH_POOL"])
CONFIG = Config(max_pool_connections=POOL)

DATABASE = boto3.client("dynamodb", config=CONFIG)
QUEUE = boto3.client("sqs") if QUEUE_URL else None
API = boto3.client("apigatewaymanagementapi", endpoint_url=os.environ["ROOMCAST_MANAGEMENT_ENDPOINT"], config=CONFIG)
THREADS = ThreadPoolExecutor(POOL) if POOL > 1 else None


def sendmessage(event: dict[str, Any], _context: object) -> dict[str, int]:
    """The route: to the room, or into the queue."""
    sender = event["requestContext"]["connectionId"]
    command = json.loads(event["body"])
    key = {"partition_key": {"S": f"connection#{sender}"}, "sort_key": {"S": "connection"}}
    [room] = DATABASE.get_item(TableName=TABLE, Key=key)["Item"]["rooms"]["M"]
    if QUEUE is None:
        receipt = {"id": command["id"], **send_to_room(room, command["data"])}
    else:
        body = json.dumps({"room": room, "data": command["data"]})
        if QUEUE_URL.endswith(".fifo"):
            QUEUE.send_message(QueueUrl=QUEUE_URL, MessageBody=body, MessageGroupId=room)
        else:
            QUEUE.send_message(QueueUrl=QUEUE_URL, MessageBody=body)
        receipt = {"id": command["id"], "queued": True}
    API.post_to_connection(ConnectionId=sender, Data=json.dumps({"receipt": receipt}).encode())
    return {"statusCode": 200}


def fanout_worker(event: dict[str, Any], _context: object) -> None:
    """The queue worker."""
    for record in event["Records"]:
        send_to_room(**json.loads(record["body"]))


def send_to_room(room: str, data: str) -> dict[str, int]:
    """Post a text to all members, and count how it went."""

    def post(key: dict[str, Any]) -> str:
        try:
            API.post_to_connection(ConnectionId=key["sort_key"]["S"], Data=data.encode())
        except API.exceptions.GoneException:
            DATABASE.delete_item(TableName=TABLE, Key=key)
            return "gone"
        except (ClientError, BotoCoreError):
            return "failed"
        return "delivered"

    return Counter(THREADS.map(post, members(room)) if THREADS else map(post, members(room)))


def members(room: str) -> Iterator[dict[str, Any]]:
    """Read the keys of the room's members."""
    pages = DATABASE.get_paginator("query")
    for shard in range(SHARDS):
        for page in pages.paginate(
            TableName=TABLE,
            ConsistentRead=True,
            KeyConditionExpression="partition_key = :room",
            ProjectionExpression="partition_key, sort_key",
            ExpressionAttributeValues={":room": {"S": f"room#{room}#{shard}"}},
        ):
            yield from page["Items"]
