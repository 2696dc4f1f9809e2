"""One turn of a contender: a message, or a batch of them, from the event to the last member."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.bench.sink import number_of
from scripts.bench.table import member_id
from scripts.bench.waits import figures, rows
from scripts.bench.waits.contenders import Function

if TYPE_CHECKING:
    from scripts.bench.processes import Server
    from scripts.bench.waits.contenders import Contender

LIMITS = {"sendmessage": 27.0, "fanout_worker": 30.0}
"""Time limit of each function in seconds, as Terraform sets it."""

WARM_UPS = 2
"""Messages before the first measured one: the first opens connections, and the second uses them."""

WARM_UP_MEMBERS = 100
"""Warm-up rooms of boto3 have at most so many members: that opens all of its connections."""

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
    """

    texts: list[str]
    began: float
    seconds: float
    cpu: float | None
    receipt: float | None
    posts: list[figures.Post]


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
        self._set_trouble(row.trouble)
        if row.state == "lukewarm":
            for service in self._services:
                service.ask("hang_up_all")
        self._clear()
        sent = self._send(contender, row.messages)
        waits = self._work_off(contender, sent) if row.queue else self._waits(sent)
        self._check()
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
            self._send(contender, 1)
            if self._row.queue and (messages := self._queued()):
                self._invoke(contender, "fanout_worker", {"Records": [_record(message) for message in messages]})
        self._services.table.ask("configure", members=self._row.members)

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

    def _check(self) -> None:
        unknown = [each for service in self._services[1:] for each in service.ask("take")["unknown"]]
        if unknown:
            raise figures.NothingMeasuredError(f"a service in place of AWS's does not know {unknown[0]}")

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

    def _posts(self) -> list[figures.Post]:
        posts = self._services.sink.ask("take")["posts"]
        return [figures.Post(at, number_of(connection_id), text) for at, connection_id, text in posts]

    def _queued(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self._services.queue.ask("take")["messages"]
        return messages

    def _send(self, contender: Contender, messages: int) -> Sent:
        """Invoke ``sendmessage`` for each message."""
        texts, posts, results, receipts = [], [], [], []
        for _ in range(messages):
            text = f"message {next(self._numbers):03}"
            result = self._invoke(contender, "sendmessage", _event(text))
            found = self._posts()
            receipts += [post.at - result["began"] for post in found if post.member == 0 and '"receipt"' in post.text]
            texts.append(text)
            posts += found
            results.append(result)
        return Sent(
            texts,
            began=results[0]["began"],
            seconds=max(result["ended"] - result["began"] for result in results),
            cpu=results[0]["cpu_s"],
            receipt=max(receipts) if len(receipts) == messages else None,
            posts=posts,
        )

    def _waits(self, sent: Sent, sending: float | None = None) -> figures.Waits:
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
        )

    def _work_off(self, contender: Contender, sent: Sent) -> figures.Waits:
        """Hand the queue's messages to the worker, and those that it puts into the queue, until all living have it."""
        waiting = self._queued()
        if not waiting:
            raise figures.NothingMeasuredError("sendmessage put nothing into the queue")
        size = len(waiting)
        first: dict[str, Any] | None = None
        posts: list[figures.Post] = []
        while waiting:
            event = {"Records": [_record(message) for message in waiting[:size]]}
            result = self._invoke(contender, "fanout_worker", event)
            first = first or result
            posts += self._posts()
            waiting = waiting[size:] + self._queued()
            size = BATCH
            found = figures.arrivals(posts, sent.texts, self._row.living, first["began"])
            is_over = time.monotonic() > first["began"] + FOLLOWING_SECONDS
            if not found.missing or is_over or not waiting:
                break
            waiting.sort(key=lambda message: message["due_at"])
            time.sleep(max(0.0, waiting[0]["due_at"] - time.monotonic()))
        assert first is not None
        worked = sent._replace(
            began=first["began"], seconds=first["ended"] - first["began"], cpu=first["cpu_s"], posts=posts
        )
        return self._waits(worked, sending=sent.seconds)


def _event(text: str) -> dict[str, Any]:
    """Return an event of the route ``sendmessage``; the sender wants a receipt."""
    return {
        "requestContext": {
            "eventType": "MESSAGE",
            "routeKey": "sendmessage",
            "connectionId": member_id(0),
            "connectedAt": 0,
            "requestId": text,
        },
        "body": json.dumps({"action": "sendmessage", "data": text, "id": text}),
    }


def _record(message: dict[str, Any]) -> dict[str, Any]:
    """Return a record of a queue worker's event (https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html)."""
    attributes = {"ApproximateReceiveCount": "1"}
    if message["group"]:
        attributes |= {"MessageGroupId": message["group"], "SequenceNumber": message["sequence"]}
    return {"messageId": message["id"], "body": message["body"], "attributes": attributes, "eventSource": "aws:sqs"}
