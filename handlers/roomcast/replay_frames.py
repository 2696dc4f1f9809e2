"""Frames with messages of a log, for clients that return."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from roomcast import frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from roomcast.history_items import Entry


def messages(room: str, epoch: str, slots: Iterable[Entry]) -> Iterator[tuple[str, int]]:
    """Frames with messages of a log, in order, each with the number that it begins with.

    Args:
        room: Name of the room.
        epoch: Life of the log.
        slots: Messages, and voids between them.
    """
    head = _head_of_messages(room, epoch)
    size = limit = frames.MAXIMUM_BYTES - len(head) - len("]}")
    texts: list[str] = []
    first = 0
    for each in slots:
        text = _slot({}, each)
        bytes_of_it = len(text.encode())
        if texts and size < bytes_of_it + 1:
            yield f"{head}{','.join(texts)}]}}", first
            texts, size = [], limit
        if bytes_of_it > limit:
            # An earlier release has stored it under another limit.
            yield _slot({"type": "message", "room": room, "epoch": epoch, "replayed": True}, each), each.seq
            continue
        first = first if texts else each.seq
        texts.append(text)
        size -= bytes_of_it + 1
    if texts:
        yield f"{head}{','.join(texts)}]}}", first


def _head_of_messages(room: str, epoch: str) -> str:
    return _dump({"type": "messages", "room": room, "epoch": epoch})[:-1] + ',"messages":['


def _slot(fields: Mapping[str, object], each: Entry) -> str:
    if each.is_void:
        return _dump({**fields, "seq": each.seq, "void": True})
    envelope = frames.Envelope(each.sender, each.at, "", each.id, each.is_text, is_backend=each.is_backend)
    return frames.framed({**fields, "seq": each.seq}, each.data, envelope)


def fits_log(room: str, data: str, envelope: frames.Envelope) -> bool:
    """Whether a message fits into a frame by itself when it is replayed; without a number yet.

    Args:
        room: Name of the room.
        data: The message.
        envelope: What goes with it.
    """
    # Every epoch has a name of eight characters.
    frame = f"{_head_of_messages(room, 'abcdefgh')}{frames.framed({'seq': 2**53 - 1}, data, envelope)}]}}"
    return len(frame.encode()) <= frames.MAXIMUM_BYTES


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
