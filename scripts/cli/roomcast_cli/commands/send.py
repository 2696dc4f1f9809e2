"""``roomcast send``: messages to a room or a client, by the stage's function for backends."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roomcast_cli import functions, stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, NO, WRONG_USAGE, CommandError, document, record, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADER = ("to", "seq", "delivered", "gone", "failed", "state")


def send(  # noqa: PLR0913 - of the command line
    words: Annotated[list[str], typer.Argument(metavar="[ROOM] TEXT", help="The room, and the text; - reads lines.")],
    *,
    user: Annotated[str | None, typer.Option(metavar="ID", help="To a client, and no room.")] = None,
    id_: Annotated[str | None, typer.Option("--id", metavar="ID", help="Safe to repeat within ten minutes.")] = None,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Send a message to a room, or to a client.

    To a client: roomcast send --user ID TEXT. With the text - each line of the input is a message.

    Exit status: 0 done, 1 not delivered to some, or there was no recipient, 3 the stage has no function for it.
    """
    if len(words) != (1 if user else 2):
        raise CommandError("send takes ROOM and TEXT, or --user ID and TEXT", WRONG_USAGE)
    recipient = {"user": user} if user else {"room": words[0]}
    found, account = stages.find(stages.Choice(stage, outputs_file, region, profile))
    receipts = []
    for number, text in enumerate(_texts(words[-1])):
        tie = {"id": f"{id_}.{number}" if words[-1] == "-" else id_} if id_ else {}
        request = {"messages": [{**recipient, "data": text, **tie}]}
        answer = functions.invoke(found, account, "publish", "send", "publish_enabled", request)
        [receipt] = answer["results"]
        if "error" in receipt:
            raise functions.refused(receipt["error"])
        receipts.append(receipt)
    if as_json:
        document({**found.document(), "receipts": receipts})
    elif len(receipts) == 1:
        record(HEADER, _cells(receipts[0]), _sentence(receipts[0]))
    else:
        table(HEADER, [_cells(each) for each in receipts], right=(1, 2, 3, 4), colour=not no_color)
    return DONE if all(map(_is_delivered, receipts)) else NO


def _texts(text: str) -> Iterator[str]:
    if text != "-":
        yield text
        return
    for line in sys.stdin:
        yield line.removesuffix("\n")


def _state(receipt: Mapping[str, Any]) -> str:
    return next((name for name in ("queued", "duplicate", "sending") if name in receipt), "")


def _is_delivered(receipt: Mapping[str, Any]) -> bool:
    return bool(_state(receipt)) or (receipt["delivered"] > 0 and not receipt["failed"])


def _name(receipt: Mapping[str, Any]) -> str:
    return str(receipt.get("room") or receipt["user"])


def _cells(receipt: Mapping[str, Any]) -> list[str]:
    numbers = [str(receipt.get(name, "")) for name in HEADER[1:-1]]
    return [_name(receipt), *numbers, _state(receipt)]


def _sentence(receipt: Mapping[str, Any]) -> str:
    numbered = f"{_name(receipt)}  " + (f"seq {receipt['seq']}  " if "seq" in receipt else "")
    if state := _state(receipt):
        return numbered + state
    if not receipt["delivered"] and not receipt["failed"]:
        return f"{numbered}delivered 0 ({'the room is empty' if 'room' in receipt else 'the client is not connected'})"
    return f"{numbered}delivered {receipt['delivered']}, gone {receipt['gone']}, failed {receipt['failed']}"
