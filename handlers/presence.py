"""The presence worker: looks at rooms whose members have changed, and tells the members. It has no route.

It runs only where rooms have presence. A message that failed is redelivered
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from roomcast import aws_json, delivery, events, fanout, logs, marks, presence, protocol, rooms, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, pace=SETTINGS.pace, http2=SETTINGS.http2)
DELIVERY = delivery.Delivery(ENGINE, ROOMS)

AFTERWARDS_SECONDS = 3.0
"""Time left after the posts, to note what was announced and to delete dead members."""


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, list[dict[str, str]]]:
    """Lambda's entry point."""
    deadline = events.deadline(context)
    looks = presence.Presence(SETTINGS, ROOMS, DELIVERY)
    logs.begin(context.aws_request_id)
    failed = []
    for record in events.records_of(event):
        logs.begin(context.aws_request_id, task_id=record.id, attempt=record.receives)
        if not serve(looks, record, deadline):
            failed.append(record.id)
    logs.begin(context.aws_request_id)
    DELIVERY.prune(deadline)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def serve(looks: presence.Presence, record: events.Record, deadline: float) -> bool:
    """Look at the room of one message; false if the message must be redelivered."""
    try:
        looks.look(parse(record.body), deadline - AFTERWARDS_SECONDS, deadline)
    except ValueError as error:
        logs.write("ERROR", "not a room to look at", error=str(error))
        return False
    except aws_json.ServiceError as error:
        aws_json.tell("ERROR", "a room was not looked at", error)
        return False
    except fanout.DeliveryInterruptedError:
        # The fan-out has told of it.
        return False
    return True


def parse(body: str) -> marks.Task:
    """Read the body of a queue message.

    Raises:
        ValueError: It is none, or one of a later release. The error repeats nothing of it.
    """
    try:
        value = json.loads(body)
        version, kind, room, due = (value[name] for name in ("v", "kind", "room", "due"))
        number = int(due)
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError("the queue message names no room") from error
    if version != marks.VERSION or kind != "presence" or not protocol.is_room(room):
        raise ValueError("the queue message is of an unknown version or kind")
    return marks.Task(room, number)
