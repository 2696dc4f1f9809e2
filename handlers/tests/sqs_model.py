"""A model of an SQS queue, FIFO or standard, and of Lambda's event source mapping in front of a handler.

Time is virtual: a message that is invisible becomes visible when nothing else is left to do.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from roomcast import aws_json
from tests.fakes import FakeContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

VISIBILITY = 180.0
MAXIMUM_RECEIVES = 5


class WorkerDiedError(BaseException):
    """Ends an invocation as Lambda does when a function runs out of time or memory."""


class _Message:
    def __init__(self, number: int, body: str, group: str) -> None:
        self.number = number
        self.body = body
        self.group = group
        self.visible_at = 0.0
        self.receives = 0

    def record(self, *, fifo: bool) -> dict[str, Any]:
        attributes = {"ApproximateReceiveCount": str(self.receives)}
        if fifo:
            attributes |= {
                "MessageGroupId": self.group,
                "SequenceNumber": str(18_849_496_460_467_696_128 + self.number),
            }
        return {
            "messageId": f"m-{self.number}",
            "receiptHandle": self.receipt,
            "body": self.body,
            "attributes": attributes,
        }

    @property
    def receipt(self) -> str:
        """Handle of the last receive."""
        return f"receipt-{self.number}-{self.receives}"


class SqsModel:
    """One queue and its dead letters.

    Attributes:
        now: Seconds of virtual time.
        dead_letters: Bodies.
        receives: The highest receive count that any message has had.
        invocations: How many there were.
        puts: How many messages were taken.
        died: How many invocations ended in a death.
        refusing: Whether the queue takes nothing.
    """

    def __init__(self, *, fifo: bool) -> None:
        self.fifo = fifo
        self.now = 0.0
        self.dead_letters: list[str] = []
        self.receives = 0
        self.invocations = 0
        self.puts = 0
        self.died = 0
        self.refusing = False
        self._messages: list[_Message] = []
        self._deduplication_ids: set[str] = set()
        self._numbers = itertools.count(1)

    def call(self, operation: str, parameters: Mapping[str, Any], _deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        if operation == "ChangeMessageVisibilityBatch":
            return self._change_visibility(parameters["Entries"])
        assert operation == "SendMessageBatch"
        if self.refusing:
            raise aws_json.ServiceError(operation, "ServiceUnavailable", {}, transient=True)
        entries = parameters["Entries"]
        assert 1 <= len(entries) <= 10
        assert sum(len(entry["MessageBody"]) for entry in entries) <= 262_144
        for entry in entries:
            assert ("MessageGroupId" in entry) == self.fifo
            group = entry.get("MessageGroupId", "")
            assert len(group) <= 128
            deduplication_id = entry.get("MessageDeduplicationId", str(self.puts))
            if f"{group} {deduplication_id}" not in self._deduplication_ids:
                self._deduplication_ids.add(f"{group} {deduplication_id}")
                self.put(entry["MessageBody"], group, entry.get("DelaySeconds", 0))
        return {"Successful": [], "Failed": []}

    def _change_visibility(self, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        assert 1 <= len(entries) <= 10
        assert len({entry["Id"] for entry in entries}) == len(entries)
        times = {entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in entries}
        for each in self._messages:
            if each.receipt in times:
                each.visible_at = self.now + times[each.receipt]
        return {"Successful": [], "Failed": []}

    def put(self, body: str, group: str = "", delay: int = 0) -> None:
        """Take a message, which a standard queue may keep invisible for so many seconds."""
        assert not delay or not self.fifo
        self.puts += 1
        self._messages.append(_Message(next(self._numbers), body, group))
        self._messages[-1].visible_at = self.now + delay

    def __len__(self) -> int:
        """How many messages there are, visible or not."""
        return len(self._messages)

    def drain(self, handler: Callable[[Any, Any], Any], batch: int = 10, limit: int = 1_000) -> None:
        """Invoke the handler until the queue is empty."""
        for _ in range(limit):
            if not self.invoke(handler, batch) and not self._skip():
                return
        raise AssertionError(f"{len(self._messages)} messages are left after {limit} invocations")

    def invoke(self, handler: Callable[[Any, Any], Any], batch: int = 10) -> bool:
        """One invocation, if a message is visible."""
        received = self._receive(batch)
        if not received:
            return False
        self.invocations += 1
        try:
            answer = handler({"Records": [each.record(fifo=self.fifo) for each in received]}, FakeContext())
        except WorkerDiedError:
            self.died += 1
            return True
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        assert failed <= {f"m-{each.number}" for each in received}
        self._messages = [each for each in self._messages if each not in received or f"m-{each.number}" in failed]
        return True

    def _receive(self, limit: int) -> list[_Message]:
        received: list[_Message] = []
        blocked: set[str] = set()
        for each in list(self._messages):
            if len(received) == limit:
                break
            if self.fifo and each.group in blocked:
                continue
            if each.visible_at > self.now:
                blocked.add(each.group)
            elif each.receives == MAXIMUM_RECEIVES:
                self._messages.remove(each)
                self.dead_letters.append(each.body)
            else:
                each.receives += 1
                self.receives = max(self.receives, each.receives)
                each.visible_at = self.now + VISIBILITY
                received.append(each)
        return received

    def _skip(self) -> bool:
        """Let time pass until a message becomes visible."""
        later = [each.visible_at for each in self._messages if each.visible_at > self.now]
        if later:
            self.now = min(later)
        return bool(later)
