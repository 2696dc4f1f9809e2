"""``roomcast send``: messages to a room or a client, by the stage's function for backends."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roomcast_cli import functions, stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, NO, WRONG_USAGE, CommandError, document, line, note, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roomcast_cli.aws import Account

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
    _no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Send a message to a room, or to a client.

    To a client: roomcast send --user ID TEXT. With the text - each line of the input is a message, and its
    receipt is shown at once.

    Exit status: 0 done, 1 not delivered to some, there was no recipient, or the input had no line, 3 the stage has no
    function for it.
    """
    if len(words) != (1 if user else 2):
        raise CommandError("send takes ROOM and TEXT, or --user ID and TEXT", WRONG_USAGE)
    recipient = {"user": user} if user else {"room": words[0]}
    found, account = stages.find(stages.Choice(stage, outputs_file, region, profile))
    are_lines = words[-1] == "-"
    receipts: list[Mapping[str, Any]] = []
    if are_lines and not (as_json or sys.stdout.isatty()):
        line(HEADER)
    try:
        for number, text in enumerate(_texts(words[-1])):
            tie = {"id": f"{id_}.{number}" if are_lines else id_} if id_ else {}
            place = f"line {number + 1}: " if are_lines else ""
            receipts.append(receipt := _sent(found, account, {**recipient, "data": text, **tie}, place))
            if not as_json:
                _show(receipt, is_one_of_many=are_lines)
    finally:
        # Whatever ends the command: what was sent before is told.
        if as_json and (receipts or sys.exception() is None):
            document({**found.document(), "receipts": receipts})
    if not receipts:
        note("roomcast: the input has no line, so nothing was sent")
    return DONE if receipts and all(map(_is_delivered, receipts)) else NO


def _sent(stage: stages.Stage, account: Account, message: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """Send a message; gives its receipt. A refusal names the message's place in the input."""
    receipt: Mapping[str, Any]
    try:
        answer = functions.invoke(stage, account, "publish", "send", "publish_enabled", {"messages": [message]})
        [receipt] = answer["results"]
        if "error" in receipt:
            raise functions.refused(receipt["error"])
    except CommandError as error:
        raise CommandError(f"{place}{error}", error.status) from None
    return receipt


def _show(receipt: Mapping[str, Any], *, is_one_of_many: bool) -> None:
    """Print a receipt at once, because the next line of the input may be long in coming."""
    if is_one_of_many and not sys.stdout.isatty():
        line(_cells(receipt))
    else:
        record(HEADER, _cells(receipt), _sentence(receipt))
    sys.stdout.flush()


def _texts(text: str) -> Iterator[str]:
    if text != "-":
        yield text
        return
    for number, line_of_input in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line_of_input.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise CommandError(f"line {number}: the input is not UTF-8", WRONG_USAGE) from None


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
