"""``roomcast dead-letters``: messages that the workers gave up, and handing them over again."""

from __future__ import annotations

import time
from typing import Annotated, Any, NamedTuple

import typer
from roomcast import logs, tasks

from roomcast_cli import moments, stages
from roomcast_cli.asking import confirm
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, NO, NOT_FOUND, CommandError, counted, document, note, table

LOOKS = 10
"""Requests for messages, each of which gives up to ten: some of many."""

ADVICE = "members may hear a message late, or twice"


class Letter(NamedTuple):
    """A message that was given up.

    Attributes:
        queue: The queue from which it was taken: `fanout`, `presence` or `publish`.
        room: Digest of its room; empty if it cannot be read.
        request_id: Id of the message, by which the logs name it; empty as well.
        attempts: How often it was received.
        size: Bytes.
        sent_at: When it was sent, epoch milliseconds.
    """

    queue: str
    room: str
    request_id: str
    attempts: int
    size: int
    sent_at: int


def dead_letters(  # noqa: PLR0913 - of the command line
    *,
    redrive: Annotated[bool, typer.Option("--redrive", help=f"Hand them to the workers again: {ADVICE}.")] = False,
    yes: options.Yes = False,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print the messages that the workers of queues gave up.

    Exit status: 0 none, or handed over again; 1 there are some, 3 the stage has no queue.
    """
    found, account = stages.find(stages.Choice(stage, outputs_file, region, profile))
    named = {name: found.outputs.get(f"{name}_dead_letter_queue_url") for name in stages.QUEUES}
    urls = {name: url for name, url in named.items() if url}
    if not urls:
        switches = "queued_delivery.enabled and publish_queue_enabled are false, and presence_rooms is empty"
        raise CommandError(f"{found.label} has no dead letters: {switches}", NOT_FOUND)
    client = account.client("sqs")
    queues = {
        name: client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        for name, url in urls.items()
    }
    numbers = {
        name: sum(int(attributes.get(f"ApproximateNumberOfMessages{kind}", 0)) for kind in ("", "NotVisible"))
        for name, attributes in queues.items()
    }
    number = sum(numbers.values())
    if redrive and number:
        confirm(
            f"Hand {counted(number, 'message')} of {found.label} to the workers again? {ADVICE}", "--redrive", yes=yes
        )
        for name in (name for name, each in numbers.items() if each):
            client.start_message_move_task(SourceArn=queues[name]["QueueArn"])
        if as_json:
            document({**found.document(), "redriven": number})
        else:
            note(f"{counted(number, 'message')} {'is' if number == 1 else 'are'} handed to the workers again")
        return DONE
    letters = [each for name, url in urls.items() if numbers[name] for each in _read(client, name, url, found.table)]
    letters.sort(key=lambda each: each.sent_at)
    oldest = min((each.sent_at for each in letters), default=0)
    kept = {name: int(attributes["MessageRetentionPeriod"]) * 1000 for name, attributes in queues.items()}
    kept_until = min((each.sent_at + kept[each.queue] for each in letters), default=0)
    if as_json:
        times = {"oldest": moments.rfc3339(oldest), "kept_until": moments.rfc3339(kept_until)} if letters else {}
        document({**found.document(), "number": number, **times, "letters": [_fields(each) for each in letters]})
    elif not number:
        note("no dead letters")
    else:
        rows = [
            [each.queue, each.room, each.request_id, str(each.attempts), f"{each.size / 1000:.1f} KB"]
            for each in letters
        ]
        if oldest:
            age = moments.shown(time.time() - oldest / 1000)
            note(f"{counted(number, 'task')} given up, oldest {age}; kept until {moments.rfc3339(kept_until)[:10]}")
        table(["queue", "room hash", "request", "attempts", "size"], rows, right=(3, 4), colour=not no_color)
        note(
            f"-> `roomcast follow {next((each.request_id for each in letters if each.request_id), 'ID')}` says why; "
            f"`roomcast dead-letters --redrive` hands them to the workers again ({ADVICE})"
        )
    return NO if number else DONE


def _fields(letter: Letter) -> dict[str, Any]:
    return {
        "queue": letter.queue,
        "room": letter.room or None,
        "request_id": letter.request_id or None,
        "attempts": letter.attempts,
        "bytes": letter.size,
        "sent_at": moments.rfc3339(letter.sent_at),
    }


def _read(client: Any, queue: str, url: str, table_name: str) -> list[Letter]:  # noqa: ANN401 - a client of botocore
    """Return messages of a queue, each once, which stay visible for others."""
    letters: dict[str, Letter] = {}
    for _ in range(LOOKS):
        found = client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, MessageSystemAttributeNames=["All"]
        ).get("Messages", [])
        new = [each for each in found if each["MessageId"] not in letters]
        letters |= {each["MessageId"]: _letter(each, queue, table_name) for each in new}
        if not new:
            break
    return [*letters.values()]


def _letter(message: dict[str, Any], queue: str, table_name: str) -> Letter:
    room = request_id = ""
    try:
        task = tasks.parse(message["Body"])
    except ValueError:
        pass  # of a later release, or of another program
    else:
        if isinstance(task, tasks.Task):
            room, request_id = task.message.room, task.message.request_id
        else:
            room = task.room
        room = logs.room_hash(table_name, room)
    attributes = message["Attributes"]
    attempts = int(attributes["ApproximateReceiveCount"])
    return Letter(queue, room, request_id, attempts, len(message["Body"].encode()), int(attributes["SentTimestamp"]))
