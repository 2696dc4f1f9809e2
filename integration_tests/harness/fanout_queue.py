"""The queue between ``sendmessage`` and its workers: read it, and slow its workers down."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integration_tests.harness.reconfigured import reconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from types_boto3_lambda.client import LambdaClient
    from types_boto3_sqs.client import SQSClient


@dataclass(frozen=True)
class FanoutQueue:
    """The queue of an instance with queued delivery; tests change it and its workers for a while.

    Attributes:
        sqs: boto3 client.
        functions: boto3 client of Lambda.
        outputs: Terraform's outputs of the instance.
    """

    sqs: SQSClient
    functions: LambdaClient
    outputs: Mapping[str, str]

    @property
    def url(self) -> str:
        """URL of the queue."""
        return self.outputs["fanout_queue_url"]

    @property
    def worker(self) -> str:
        """Name of the function that serves the queue."""
        return self.outputs["fanout_worker_function_arn"].rpartition(":")[2]

    async def size(self) -> int:
        """Return how many tasks there are, including those that a worker has received."""
        return await asyncio.to_thread(self._size, self.url)

    async def dead_letters(self) -> int:
        """Return how many tasks are in the dead-letter queue."""
        return await asyncio.to_thread(self._size, self.outputs["fanout_dead_letter_queue_url"])

    async def put(self, body: str) -> None:
        """Put any text into the queue."""
        await asyncio.to_thread(self.sqs.send_message, QueueUrl=self.url, MessageBody=body)

    @contextmanager
    def slow_worker(self, pace: int, timeout: int = 30) -> Iterator[None]:
        """Limit a worker to ``pace`` posts a second and to ``timeout`` seconds an invocation."""
        with reconfigured(self.functions, [self.worker], lambda _: {"ROOMCAST_PACE": str(pace)}, timeout):
            yield

    @contextmanager
    def retried_after(self, seconds: float) -> Iterator[None]:
        """Set the visibility timeout, so that unfinished tasks come back after so many seconds."""
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["VisibilityTimeout"])
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"VisibilityTimeout": str(round(seconds))})
        try:
            yield
        finally:
            self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes=answer["Attributes"])

    def _size(self, url: str) -> int:
        answer = self.sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        )
        return sum(map(int, answer["Attributes"].values()))
