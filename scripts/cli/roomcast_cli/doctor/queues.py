"""Queues: whether they are read, and keep what was given up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast_cli.doctor.checks import WARNING, Finding, group_of
from roomcast_cli.doctor.unmade import NotThere

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roomcast_cli.doctor.answers import Answers

WORKERS = {"fanout": "fanout_worker", "presence": "presence", "publish": "publish"}
RECEIPTS = 5
"""Times that SQS hands a message out before it is given up, at the least: fewer lose messages to a short throttle."""

APPLY = "apply Terraform"


class Queue(NamedTuple):
    """A queue of a stage.

    Attributes:
        kind: Key of ``WORKERS``.
        url: Its URL.
        dead: URL of its dead letters.
    """

    kind: str
    url: str
    dead: str

    @property
    def name(self) -> str:
        """Its name."""
        return self.url.rpartition("/")[2]

    @property
    def worker(self) -> str:
        """The handler that reads it."""
        return WORKERS[self.kind]


def queues_of(answers: Answers) -> Sequence[Queue]:
    """Return the queues of the stage."""
    found = [
        Queue(
            kind,
            answers.outputs.get(f"{kind}_queue_url") or "",
            answers.outputs.get(f"{kind}_dead_letter_queue_url") or "",
        )
        for kind in WORKERS
    ]
    return [queue for queue in found if queue.url]


def attributes(answers: Answers, url: str) -> Mapping[str, str]:
    """Return all attributes of a queue."""
    found = answers.ask("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
    texts: Mapping[str, str] = found["Attributes"]
    return texts


def mapping(answers: Answers) -> Iterator[Finding]:
    """Each queue is read by its worker, which reports the messages that it did not serve."""
    for queue in queues_of(answers):
        try:
            arn = attributes(answers, queue.url)["QueueArn"]
        except NotThere:
            yield Finding(queue.name, f"the queue {queue.name} does not exist: what is put into it is lost", APPLY)
            continue
        found = [each for each in _mappings(answers) if each.get("EventSourceArn") == arn]
        if not found:
            yield Finding(
                queue.name, f"no function reads the queue {queue.name}: its messages wait until they expire", APPLY
            )
        for each in found:
            yield from _of_mapping(answers, queue, each)
    yield from _old_queues(answers)


def _mappings(answers: Answers) -> Sequence[Mapping[str, Any]]:
    return answers.pages("lambda", "list_event_source_mappings", "EventSourceMappings")


def _of_mapping(answers: Answers, queue: Queue, found: Mapping[str, Any]) -> Iterator[Finding]:
    state = found.get("State", "Enabled")
    if state in {"Disabled", "Disabling"}:
        yield Finding(
            queue.name,
            f"the event source mapping of the queue {queue.name} is {state}: its messages wait until they expire",
            f"aws lambda update-event-source-mapping --uuid {found['UUID']} --enabled",
        )
    if "ReportBatchItemFailures" not in (found.get("FunctionResponseTypes") or []):
        yield Finding(
            queue.name,
            f"the event source mapping of the queue {queue.name} lacks ReportBatchItemFailures: messages that were "
            "not served are deleted",
            APPLY,
        )
    wanted = answers.outputs["alias_arns"][queue.worker]
    if found.get("FunctionArn") != wanted:
        yield Finding(
            queue.name, f"the queue {queue.name} is read by {found.get('FunctionArn')} and not by {wanted}", APPLY
        )


def _old_queues(answers: Answers) -> Iterator[Finding]:
    """Queues of this name that the stage does not use any more, such as before FIFO was turned on."""
    known = {url.rpartition("/")[2] for queue in queues_of(answers) for url in (queue.url, queue.dead)}
    read = {str(each.get("EventSourceArn")).rpartition(":")[2] for each in _mappings(answers)}
    prefix = f"{answers.stage.name}-fanout"
    for url in answers.pages("sqs", "list_queues", "QueueUrls", QueueNamePrefix=prefix):
        name = url.rpartition("/")[2]
        if name in known | read or name not in {prefix, f"{prefix}.fifo"}:
            continue
        waiting = _waiting(attributes(answers, url))
        if waiting:
            yield Finding(
                name,
                f"{waiting:,} messages wait in the queue {name}, which the stage no longer uses and no function reads",
                "read them by a mapping of the worker's alias, or delete the queue",
            )


def _waiting(found: Mapping[str, str]) -> int:
    return sum(int(found.get(f"ApproximateNumberOfMessages{end}", "0")) for end in ("", "NotVisible", "Delayed"))


def queues(answers: Answers) -> Iterator[Finding]:
    """Messages are tried often enough, and what is given up is kept, and looked at."""
    for queue in queues_of(answers):
        found = attributes(answers, queue.url)
        try:
            dead = attributes(answers, queue.dead)
        except NotThere:
            name = queue.dead.rpartition("/")[2]
            lost = f"what fails in {queue.name} is tried until it expires, and is lost"
            yield Finding(name, f"the queue {name} does not exist: {lost}", APPLY)
            continue
        redrive = json.loads(found.get("RedrivePolicy") or "{}")
        if redrive.get("deadLetterTargetArn") != dead["QueueArn"]:
            yield Finding(
                queue.name,
                f"the queue {queue.name} has no dead letters in {queue.dead.rpartition('/')[2]}: what fails is tried "
                "until it expires, and is lost",
                APPLY,
            )
        elif int(redrive.get("maxReceiveCount", 0)) < RECEIPTS:
            yield Finding(
                queue.name,
                f"the queue {queue.name} gives a message up after {redrive['maxReceiveCount']} tries: fewer than "
                f"{RECEIPTS} lose messages to a short throttle",
                APPLY,
                WARNING,
            )
        if int(dead["MessageRetentionPeriod"]) <= int(found["MessageRetentionPeriod"]):
            yield Finding(
                queue.name,
                f"dead letters of {queue.name} are kept for {dead['MessageRetentionPeriod']} s, no longer than "
                "messages of the queue itself, and SQS counts from when a message was sent: they may be gone before "
                "an operator looks",
                APPLY,
                WARNING,
            )
        for url, each in ((queue.url, found), (queue.dead, dead)):
            yield from _of_policy(url.rpartition("/")[2], each)
        if waiting := _waiting(dead):
            yield Finding(
                queue.dead.rpartition("/")[2],
                f"the queue {queue.name} has given up {waiting:,} task{'s' * (waiting != 1)}: members missed messages",
                "`roomcast dead-letters` shows them, and hands them to the workers again",
                WARNING,
            )


def _of_policy(name: str, found: Mapping[str, str]) -> Iterator[Finding]:
    for statement in json.loads(found.get("Policy") or "{}").get("Statement", []):
        principal = statement.get("Principal")
        is_open = principal == "*" or (isinstance(principal, dict) and principal.get("AWS") in ("*", ["*"]))
        if statement.get("Effect") == "Allow" and is_open and not statement.get("Condition"):
            yield Finding(
                name,
                f"the policy of the queue {name} lets any principal {statement.get('Action')} (statement "
                f"{statement.get('Sid')}): strangers can read messages or send some to all members",
                APPLY,
            )


CHECKS = group_of("queue", mapping, queues)
