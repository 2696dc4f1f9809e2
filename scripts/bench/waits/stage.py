"""One turn of a contender: a message, or a batch of them, from the event to the last member."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.bench.sink import number_of
from scripts.bench.waits import figures, rows
from scripts.bench.waits.contenders import Function

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.bench.processes import Server
    from scripts.bench.waits.contenders import Contender

LIMITS = {"sendmessage": 27.0, "fanout_worker": 30.0}
"""Time limit of each function in seconds, as Terraform sets it."""

WARM_UPS = 2
"""Messages before the first measured one: the first opens connections, and the second uses them."""

WARM_UP_MEMBERS = 100
"""Warm-up rooms of boto3 have at most so many members: that opens all of its connections."""

COUNTING_SECONDS = 0.1
"""Answers of DynamoDB and SQS while calls are counted: so late that two calls that are made side by side have both
arrived by then, on a busy machine as well."""

COUNTING_MEMBERS = 10
"""Members of the room meanwhile."""

FOLLOWING_SECONDS = 30.0
"""How long the members that a worker left to a later one are waited for."""

BATCH = 10
"""Messages that one event of the queue worker holds, at most."""


class Services(NamedTuple):
    """The servers in place of AWS's services."""

    sink: Server
    table: Server
    queue: Server


class Sent(NamedTuple):
    """Result of invocations of ``sendmessage``.

    Attributes:
        texts: The texts of the messages.
        began: When the first invocation had its event.
        seconds: The longest invocation.
        cpu: CPU seconds of the first invocation, if it ended.
        receipt: Seconds until the last receipt, if all came.
        posts: Accepted posts.
        calls: Calls of DynamoDB and SQS.
        queued_at: When the last message was in the queue; ``None`` without a queue.
        queued: Messages that are in the queue.
    """

    texts: list[str]
    began: float
    seconds: float
    cpu: float | None
    receipt: float | None
    posts: list[figures.Post]
    calls: list[figures.Call]
    queued_at: float | None
    queued: list[dict[str, Any]]


class Taken(NamedTuple):
    """What the services were asked.

    Attributes:
        posts: Accepted posts.
        calls: Calls of DynamoDB and SQS.
        queued_at: When the last message was in the queue; ``None`` if none was put into it.
        queued: Messages that were put into the queue.
    """

    posts: list[figures.Post]
    calls: list[figures.Call]
    queued_at: float | None
    queued: list[dict[str, Any]]


class Stage:
    """The functions of all contenders, and the services that they call, for one row.

    Args:
        services: The services.
        row: The row.
    """

    def __init__(self, services: Services, row: rows.Row) -> None:
        self._services = services
        self._row = row
        self._functions: dict[tuple[str, str], Function] = {}
        self._numbers = itertools.count(1)
        self._unknown: list[str] = []
        self._counted: dict[str, figures.Counts] = {}
        services.table.ask("configure", delay=rows.DATABASE_SECONDS, shards=row.shards, members=row.members)
        services.queue.ask("configure", delay=rows.DATABASE_SECONDS)
        services.sink.ask("configure", http2=row.http2)
        for service in services:
            service.ask("configure", greeting_seconds=rows.CONNECTION_SECONDS)

    def turn(self, contender: Contender) -> figures.Waits:
        """Let a contender serve one event.

        Raises:
            figures.NothingMeasuredError: The figures would stand for nothing.
            subprocess.SubprocessError: A handler cannot be imported, or failed.
        """
        row = self._row
        init = None
        if row.state == "cold":
            self._end(contender)
            init = self._function(contender, "fanout_worker" if row.queue else "sendmessage").init
        elif (contender.name, "sendmessage") not in self._functions:
            self._warm_up(contender)
            if row.compares:
                self._count(contender)
        self._set_trouble(row.trouble)
        if row.state == "lukewarm":
            for service in self._services:
                service.ask("hang_up_all")
        self._clear()
        sent = self._send(contender, row.messages)
        waits = self._waits_of(contender, sent)
        if self._unknown:
            raise figures.NothingMeasuredError(f"a service in place of AWS's does not know {self._unknown[0]}")
        if waits.counts is not None and contender.name in self._counted:
            waits = waits._replace(counts=self._counted[contender.name]._replace(calls=waits.counts.calls))
        return waits._replace(init=init)

    def close(self) -> None:
        """End all functions."""
        for function in self._functions.values():
            function.close()
        self._functions.clear()

    def _warm_up(self, contender: Contender) -> None:
        self._set_trouble("")
        members = self._row.members if contender.is_ours else min(self._row.members, WARM_UP_MEMBERS)
        self._services.table.ask("configure", members=members)
        for _ in range(WARM_UPS):
            sent = self._send(contender, 1)
            if sent.queued:
                self._invoke(contender, "fanout_worker", {"Records": [_record(message) for message in sent.queued]})
        self._services.table.ask("configure", members=self._row.members)

    def _count(self, contender: Contender) -> None:
        """Count the calls that follow each other, of one message, while all answers of DynamoDB and SQS are late."""
        table, queue = self._services.table, self._services.queue
        members = min(self._row.members, COUNTING_MEMBERS)
        table.ask("configure", delay=COUNTING_SECONDS, write_delay=COUNTING_SECONDS, members=members)
        queue.ask("configure", delay=COUNTING_SECONDS)
        self._clear()
        counts = self._waits_of(contender, self._send(contender, 1)).counts
        if counts is None or not counts.before_posts:
            raise figures.NothingMeasuredError("no call was counted")
        self._counted[contender.name] = counts
        table.ask("configure", delay=rows.DATABASE_SECONDS, members=self._row.members)
        queue.ask("configure", delay=rows.DATABASE_SECONDS)

    def _set_trouble(self, trouble: str) -> None:
        troubled = self._row.troubled
        self._services.sink.ask(
            "configure",
            keeps=True,
            delay=rows.POST_SECONDS,
            tail=rows.TAIL_SHARE if trouble == "tails" else 0.0,
            **{name: troubled if name == trouble else [] for name in ("full", "silent", "dead")},
        )
        write_delay = rows.SLOW_WRITE_SECONDS if trouble == "dead" else rows.DATABASE_SECONDS
        self._services.table.ask("configure", write_delay=write_delay)

    def _clear(self) -> None:
        for service in self._services:
            service.ask("take")
        self._unknown.clear()

    def _function(self, contender: Contender, name: str) -> Function:
        key = (contender.name, name)
        if key not in self._functions:
            services, row = self._services, self._row
            suffix = ".fifo" if row.queue == "fifo" else ""
            more = {
                "ROOMCAST_MANAGEMENT_ENDPOINT": f"https://localhost:{services.sink.port}/live",
                "AWS_ENDPOINT_URL_DYNAMODB": f"https://localhost:{services.table.port}",
                "AWS_ENDPOINT_URL_SQS": f"https://localhost:{services.queue.port}",
                "ROOMCAST_SHARDS_PER_ROOM": str(row.shards),
                "ROOMCAST_SHARDS_READ": str(row.shards),
                "ROOMCAST_QUEUE_FIFO": "true" if row.queue == "fifo" else "false",
                "ROOMCAST_QUEUE_URL": f"https://localhost:{services.queue.port}/1/fanout{suffix}" if row.queue else "",
                **contender.mode.environment,
            }
            self._functions[key] = Function(contender, name, more, row.cpu)
        return self._functions[key]

    def _end(self, contender: Contender) -> None:
        for key in [key for key in self._functions if key[0] == contender.name]:
            self._functions.pop(key).close()

    def _invoke(self, contender: Contender, name: str, event: object) -> dict[str, Any]:
        """Invoke a function; an invocation that takes longer than its limit is ended."""
        limit = LIMITS[name]
        asked_at = time.monotonic()
        result = self._function(contender, name).invoke(event, limit)
        if result is None:
            self._end(contender)
            result = {"began": asked_at, "ended": asked_at + limit, "cpu_s": None, "answer": None}
        return result

    def _take(self, contender: Contender) -> Taken:
        """Take what was asked of the services since the last time."""
        sink, table, queue = (service.ask("take") for service in self._services)
        self._unknown += table["unknown"] + queue["unknown"]
        text_of = contender.mode.text_of
        sent = [figures.Call(*each) for each in queue["calls"]]
        return Taken(
            posts=[figures.Post(at, number_of(name), text_of(text)) for at, name, text in sink["posts"]],
            calls=[*(figures.Call(*each) for each in table["calls"]), *sent],
            queued_at=max((each.answered for each in sent), default=None),
            queued=queue["messages"],
        )

    def _send(self, contender: Contender, messages: int) -> Sent:
        """Invoke ``sendmessage`` for each message."""
        texts: list[str] = []
        results: list[dict[str, Any]] = []
        receipts: list[float] = []
        posts: list[figures.Post] = []
        calls: list[figures.Call] = []
        queued: list[dict[str, Any]] = []
        queued_at = None
        for _ in range(messages):
            text = f"message {next(self._numbers):08}"
            result = self._invoke(contender, "sendmessage", contender.mode.event(text))
            taken = self._take(contender)
            receipts += [
                post.at - result["began"] for post in taken.posts if post.member == 0 and '"receipt"' in post.text
            ]
            texts.append(text)
            posts += taken.posts
            calls += taken.calls
            queued += taken.queued
            queued_at = taken.queued_at
            results.append(result)
        return Sent(
            texts,
            began=results[0]["began"],
            seconds=max(result["ended"] - result["began"] for result in results),
            cpu=results[0]["cpu_s"],
            receipt=max(receipts) if len(receipts) == messages else None,
            posts=posts,
            calls=calls,
            queued_at=queued_at,
            queued=queued,
        )

    def _waits_of(self, contender: Contender, sent: Sent) -> figures.Waits:
        if self._row.queue:
            return self._work_off(contender, sent)
        return self._waits(sent, self._counts(sent, [], sent.posts))

    def _waits(self, sent: Sent, counts: figures.Counts | None, sending: float | None = None) -> figures.Waits:
        found = figures.arrivals(sent.posts, sent.texts, self._row.living, sent.began)
        return figures.Waits(
            first=found.waits[0],
            p50=figures.percentile(found.waits, 0.5),
            p99=figures.percentile(found.waits, 0.99),
            last=found.waits[-1],
            receipt=sent.receipt,
            invocation=sent.seconds,
            sending=sending,
            cpu=sent.cpu,
            init=None,
            missing=found.missing,
            twice=found.twice,
            last_members=figures.last_part(found.members),
            ended=sent.cpu is None,
            counts=counts,
        )

    def _counts(
        self, sent: Sent, calls: Sequence[figures.Call], posts: Sequence[figures.Post]
    ) -> figures.Counts | None:
        """Count the calls for one message.

        Args:
            sent: Result of sending it.
            calls: Calls of the queue worker.
            posts: All posts.
        """
        if self._row.messages != 1:
            return None
        first = min((post.at for post in posts if post.member and post.text in sent.texts), default=math.inf)
        # What follows while the message is in the queue, no member waits for.
        until = first if sent.queued_at is None else math.nextafter(sent.queued_at, math.inf)
        return figures.Counts(
            calls=len(sent.calls) + len(calls),
            before_posts=figures.in_a_row(sent.calls, until) + figures.in_a_row(calls, first),
            before_receipt=None if sent.receipt is None else figures.in_a_row(sent.calls, sent.began + sent.receipt),
        )

    def _work_off(self, contender: Contender, sent: Sent) -> figures.Waits:
        """Hand the queue's messages to the worker, and those that it puts into the queue, until all living have it."""
        waiting = sent.queued
        if not waiting or sent.queued_at is None:
            raise figures.NothingMeasuredError("sendmessage put nothing into the queue")
        size = len(waiting)
        first: dict[str, Any] | None = None
        posts: list[figures.Post] = []
        calls: list[figures.Call] = []
        while waiting:
            event = {"Records": [_record(message) for message in waiting[:size]]}
            result = self._invoke(contender, "fanout_worker", event)
            first = first or result
            taken = self._take(contender)
            posts += taken.posts
            calls += taken.calls
            waiting = waiting[size:] + taken.queued
            size = BATCH
            found = figures.arrivals(posts, sent.texts, self._row.living, first["began"])
            is_over = time.monotonic() > first["began"] + FOLLOWING_SECONDS
            if not found.missing or is_over or not waiting:
                break
            waiting.sort(key=lambda message: message["due_at"])
            time.sleep(max(0.0, waiting[0]["due_at"] - time.monotonic()))
        assert first is not None
        # The time between the two functions is SQS's own.
        before = sent.queued_at - sent.began if self._row.compares else 0.0
        worked = sent._replace(
            began=first["began"] - before, seconds=first["ended"] - first["began"], cpu=first["cpu_s"], posts=posts
        )
        return self._waits(worked, self._counts(sent, calls, posts), sending=sent.seconds)


def _record(message: dict[str, Any]) -> dict[str, Any]:
    """Return a record of a queue worker's event (https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html)."""
    attributes = {"ApproximateReceiveCount": "1"}
    if message["group"]:
        attributes |= {"MessageGroupId": message["group"], "SequenceNumber": message["sequence"]}
    return {"messageId": message["id"], "body": message["body"], "attributes": attributes, "eventSource": "aws:sqs"}
