"""``publish``: messages of backends, which invoke this function or write to its queue. It has no route.

Invoked with ``{"messages": [...]}`` it answers ``{"results": [...]}``: for each message, in order, a receipt, a
position or an error. A message of the queue that was not published, or has reached none of its members, is reported
as a batch item failure; SQS redelivers it, and makes it a dead letter in the end
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).

All messages are stored before the first is posted. They are posted side by side, those of one room or client in order.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import (
    aws_json,
    backends,
    delivery,
    events,
    fanout,
    frames,
    history,
    logs,
    protocol,
    publications,
    replay_frames,
    rooms,
    settings,
    tasks,
)
from roomcast.steps import drive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roomcast.publications import Publication

    Answer = dict[str, Any]

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
HISTORY = history.History(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, pace=SETTINGS.pace, http2=SETTINGS.http2)
DELIVERY = delivery.Delivery(ENGINE, ROOMS)
QUEUE = tasks.Queue(SETTINGS) if SETTINGS.queue_url else None

SETTLE_SECONDS = 3.0
"""Time left after the posts, to write down which messages were delivered, and to prune. Of a short time, a quarter."""


class Request(NamedTuple):
    """A message that a backend asks to be published.

    Attributes:
        body: The request as JSON.
        taken_at: When this function, or the queue, took it, epoch milliseconds.
        id: Id of its queue message, which is that of the message if it names none; empty without a queue.
        receives: How often that has been received.
    """

    body: str
    taken_at: int
    id: str = ""
    receives: int = 0

    @property
    def about(self) -> dict[str, object]:
        """Fields of log lines about its queue message."""
        return {"task_id": self.id, "attempt": self.receives} if self.id else {}


class Published(NamedTuple):
    """A message on its way.

    Attributes:
        place: Its place among the messages.
        publication: The request.
        message: What members receive.
        kept: Where it is stored; ``None`` in a room that keeps no messages.
    """

    place: int
    publication: Publication
    message: delivery.RoomMessage
    kept: history.Kept | None = None

    @property
    def names(self) -> dict[str, object]:
        """Fields of log lines about it."""
        message = self.message
        room = {"room": logs.room_hash(SETTINGS.table_name, message.room)} if message.room else {}
        return {"request_id": message.request_id, **room, **message.about}

    def receipt(self, **outcome: object) -> Answer:
        """The answer of a message that was published."""
        kind, name, *_ = self.publication
        tie = {"id": self.publication.id} if self.publication.id else {}
        number = {} if self.kept is None else {"epoch": self.kept.epoch, "seq": self.kept.seq}
        return {**tie, kind: name, **number, **outcome}


def handler(event: Mapping[str, Any], context: events.Context) -> Answer:
    """Lambda's entry point."""
    logs.begin(context.aws_request_id)
    now = int(time.time() * 1000)
    deadline = events.deadline(context)
    if isinstance(event, dict) and "Records" in event:
        return serve_queue(events.records_of(event), context.aws_request_id, deadline)
    try:
        bodies = publications.bodies_of(event)
    except protocol.Refusal as refusal:
        logs.end("INFO", "publish", outcome=refusal.code)
        return backends.error(refusal.code)
    return {"results": publish([Request(body, now) for body in bodies], context.aws_request_id, deadline)}


def serve_queue(records: Sequence[events.Record], request_id: str, deadline: float) -> Answer:
    """Publish messages of the queue; gives the batch item failures."""
    failed = []
    requests = [Request(each.body, each.sent_at, each.id, each.receives) for each in records]
    answers = publish(requests, request_id, deadline)
    for each, request, answer in zip(records, requests, answers, strict=True):
        # An earlier try may have died before it had posted the message, which is known once its time is over.
        if "error" in answer or "sending" in answer or has_reached_nobody(answer):
            logs.write("ERROR", "a message was not published", outcome=outcome_of(answer), **request.about)
            failed.append({"itemIdentifier": each.id})
    return {"batchItemFailures": failed}


def publish(requests: Sequence[Request], request_id: str, deadline: float) -> list[Answer]:
    """Publish messages, with a log line for each; gives the answer to each, in order.

    Args:
        requests: The requests.
        request_id: Id of the invocation.
        deadline: Latest end, in seconds of ``time.monotonic``.
    """
    post_until = deadline - min(SETTLE_SECONDS, (deadline - time.monotonic()) / 4)
    # Half of the time is left to post what was stored.
    store_until = time.monotonic() + (post_until - time.monotonic()) / 2
    answers: dict[int, Answer] = {}
    stored: list[Published] = []
    for index, request in enumerate(requests):
        own_id = f"{request_id}.{index}"
        names = {"request_id": own_id, **request.about}
        try:
            known = publications.read(request.body, SETTINGS.maximum_message_bytes, request.id)
            each = store(index, known, request, own_id, store_until, deadline)
        except protocol.Refusal as refusal:
            answers[index] = backends.error(refusal.code)
        except aws_json.ServiceError as error:
            aws_json.tell("ERROR", "the table failed", error, **names)
            answers[index] = backends.error("unavailable")
        else:
            if isinstance(each, Published):
                stored.append(each)
                continue
            answers[index] = each
        logs.write("INFO", "publish", outcome=outcome_of(answers[index]), **names)
    answers |= pass_on(stored, post_until, deadline)
    DELIVERY.prune(deadline)
    return [answers[index] for index in range(len(requests))]


def store(  # noqa: PLR0913, PLR0917 - all parts of a message
    index: int, known: Publication, request: Request, request_id: str, until: float, deadline: float
) -> Published | Answer:
    """Store a message if its room keeps messages; gives the answer if nothing more is to be done.

    Args:
        index: Its place among the messages.
        known: The request, read.
        request: As it came.
        request_id: Tells the message from all others, for the logs.
        until: When not to begin with another message, in seconds of ``time.monotonic``.
        deadline: When its posts have ended.
    """
    if time.monotonic() >= until:
        raise protocol.Refusal("unavailable")
    keeps = known.kind != "user" and HISTORY.keeps(known.name)
    if known.kind == "position":
        return position(known.name, until) if keeps else {"position": known.name}
    at = int(time.time() * 1000)
    is_direct = known.kind == "user"
    envelope = frames.Envelope(known.sender, at, known.mid, known.id, known.is_text, is_direct, is_backend=True)
    room, user = ("", known.name) if is_direct else (known.name, "")
    message = delivery.RoomMessage(room, "", known.data, request_id, envelope, user, request.taken_at, request.about)
    fits = replay_frames.fits_log(room, known.data, envelope) if keeps else message.fits
    if not fits:
        raise protocol.Refusal("too_large")
    if not keeps:
        return Published(index, known, message)
    sender = history.Sender("publish", known.sender, known.id) if known.id else None
    draft = history.Draft(room, known.sender, at, known.data, known.is_text, known.id, request_id, is_backend=True)
    kept = drive(HISTORY.append(draft, sender, deadline))
    numbered = envelope._replace(sender=kept.sender or known.sender, at=kept.at, epoch=kept.epoch, seq=kept.seq)
    published = Published(index, known, message._replace(envelope=numbered), kept)
    if kept.is_duplicate:
        return published.receipt(duplicate=True)
    return published.receipt(sending=True) if kept.is_sending else published


def position(room: str, until: float) -> Answer:
    """How far the log of a room is: a client that joins with it misses nothing that is stored later."""
    replay = drive(HISTORY.since(room, frames.Ask(), until, until))
    return {"position": room, "epoch": replay.epoch, "seq": replay.seq}


def pass_on(stored: Sequence[Published], post_until: float, deadline: float) -> dict[int, Answer]:
    """Post the messages, or queue those that are for rooms; gives the answer to each."""
    queued = [each for each in stored if QUEUE is not None and not each.message.user]
    posted = [each for each in stored if each not in queued]
    answers: dict[int, Answer] = {}
    for each in queued:
        answers[each.place] = enqueue(each, post_until)
    results = DELIVERY.deliver_all([begin(each, post_until, answers) for each in posted], post_until) if posted else []
    for each, result in zip(posted, results, strict=True):
        is_whole = result.is_begun and result.error is None and result.report.complete
        if each.place not in answers:
            answers[each.place] = each.receipt(**_counts(result.report)) if is_whole else backends.error("unavailable")
    for each in stored:
        answer = answers[each.place]
        # The next try of one that has reached no member must post it, and not find that it is a duplicate.
        if "error" not in answer and not has_reached_nobody(answer):
            settle(each, deadline)
    return answers


def enqueue(each: Published, deadline: float) -> Answer:
    """Hand a message over to the workers; gives the answer."""
    assert QUEUE is not None
    try:
        QUEUE.put([tasks.Task(each.message, shard) for shard in range(ROOMS.shards_read)], deadline)
    except aws_json.ServiceError as error:
        aws_json.tell("ERROR", "the queue failed", error, **each.names)
        return backends.error("unavailable")
    logs.write("INFO", "queued", outcome=logs.SERVED, tasks=ROOMS.shards_read, **each.names)
    return each.receipt(queued=True)


def begin(each: Published, deadline: float, answers: dict[int, Answer]) -> tuple[delivery.RoomMessage, fanout.Message]:
    """The message as the engine takes it; ``answers`` gets the error if its recipients cannot be read."""
    recipients: Iterable[fanout.Recipient] = ()
    if each.message.user:
        try:
            recipients = ROOMS.users(deadline).recipients(each.message.user)
        except aws_json.ServiceError as error:
            aws_json.tell("ERROR", "the table failed", error, **each.names)
            answers[each.place] = backends.error("unavailable")
    else:
        recipients = ROOMS.members(each.message.room, deadline)
    # The next message does not wait for members that do not read.
    message = each.message.to(recipients)
    return each.message, message._replace(order=each.publication.order, may_leave=fanout.FEW)


def settle(each: Published, deadline: float) -> None:
    """Write down that a message is delivered; else a backend that sends it again has it delivered again."""
    if each.kept is None:
        return
    try:
        drive(HISTORY.settle(each.kept, deadline))
    except aws_json.ServiceError as error:
        aws_json.tell("WARNING", "a delivery is not on record", error, **each.names)


def _counts(report: fanout.Report) -> Answer:
    return {"delivered": report.delivered, "gone": report.gone, "failed": report.failed}


def has_reached_nobody(answer: Answer) -> bool:
    """Whether a message was posted and no member has it, although some may be connected."""
    return bool(answer.get("failed")) and not (answer["delivered"] or answer["gone"])


def outcome_of(answer: Answer) -> str:
    """The outcome of a message that is not passed on or has reached no member, for log lines."""
    if has_reached_nobody(answer):
        return "not_delivered"
    if "error" in answer:
        code: str = answer["error"]["code"]
        return code
    return next((kind for kind in ("duplicate", "sending") if kind in answer), logs.SERVED)
