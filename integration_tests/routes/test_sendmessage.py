"""`sendmessage` reaches every member of the sender's room, or the one member it names, or answers with an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness.answers import error
from integration_tests.harness.crowd import expect_everywhere, settle
from integration_tests.targets.interface import Capability

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable

MISSING_DATA = error("missing_data", "sendmessage needs data; send any JSON value but an empty string")
INVALID_ID = error("invalid_id", "id is not a string of 1 to 64 characters; choose another")
UNKNOWN_RECIPIENT = error(
    "unknown_recipient", "to is not the connection id of a member of your room; ask the recipient for its whoami"
)

JSON_VALUES = {
    "number": "17",
    "fraction": "19.990",
    "long-number": "12345678901234567890.12345678901234567890",
    "small-number": "-1e-400",
    "large-number": "1E400",
    "many-digits": "9" * 1_000,
    "minus-zero": "-0",
    "true": "true",
    "null": "null",
    "list": '[1,"two"]',
    "blanks": '[ 1 ,\t"two" ]',
    "object": '{"three":{"four":[]}}',
    "same-keys": '{"a":1,"a":2}',
    "not-ascii": '{"café":"☕"}',
    "escapes": r'{"caf\u00e9":"\ud83d\ude00"}',
}
BAD_MESSAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "no-data": ('{"action":"sendmessage"}', MISSING_DATA),
    "empty-data": ('{"action":"sendmessage","data":""}', MISSING_DATA),
    "half-a-pair": (
        r'{"action":"sendmessage","data":"\ud800"}',
        error("not_unicode", "data holds half of a surrogate pair and cannot be sent as UTF-8; send whole characters"),
    ),
    "id-empty": ('{"action":"sendmessage","data":"x","id":""}', INVALID_ID),
    "id-number": ('{"action":"sendmessage","data":"x","id":7}', INVALID_ID),
    "id-too-long": (json.dumps({"action": "sendmessage", "data": "x", "id": "i" * 65}), INVALID_ID),
    "to-null": ('{"action":"sendmessage","data":"x","to":null}', UNKNOWN_RECIPIENT),
    "to-number": ('{"action":"sendmessage","data":"x","to":7}', UNKNOWN_RECIPIENT),
    "to-nobody": ('{"action":"sendmessage","data":"x","to":"AAAAAAAAAAAAAAA="}', UNKNOWN_RECIPIENT),
    "to-another-item": ('{"action":"sendmessage","data":"x","to":"connection#AAAAAAAAAAA="}', UNKNOWN_RECIPIENT),
}


@pytest.mark.everywhere
async def test_message_reaches_the_room_and_its_sender(crowd: Crowd, room: str) -> None:
    sender, other = await crowd.join(room), await crowd.join(room)

    await sender.send_raw('{"action":"sendmessage","data":"hello world"}')

    await expect_everywhere([sender, other], "hello world")


@pytest.mark.everywhere
@pytest.mark.parametrize("text", JSON_VALUES.values(), ids=JSON_VALUES)
async def test_other_json_values_arrive_as_their_json_text(crowd: Crowd, room: str, text: str) -> None:
    sender = await crowd.join(room)

    await sender.send_raw(f'{{"action": "sendmessage", "data": {text} }}')

    await sender.expect(text)


@pytest.mark.everywhere
async def test_text_arrives_unchanged(crowd: Crowd, room: str) -> None:
    sender = await crowd.join(room)
    text = 'two\nlines, "quotes", a \\ backslash, \0, ☕ and 𝄞'

    await sender.say(text)

    await sender.expect(text)


@pytest.mark.everywhere
async def test_large_message_sent_in_frames_of_32_kb_arrives_whole(crowd: Crowd, room: str) -> None:
    sender, other = await crowd.join(room), await crowd.join(room)
    frame = 32 * 1024
    text = "x" * (3 * frame)
    message = json.dumps({"action": "sendmessage", "data": text})

    await sender.send_raw([message[start : start + frame] for start in range(0, len(message), frame)])

    await expect_everywhere([sender, other], text)


@pytest.mark.everywhere
@pytest.mark.parametrize(("message", "answer"), BAD_MESSAGES.values(), ids=BAD_MESSAGES)
async def test_bad_message_is_answered_and_reaches_nobody(
    crowd: Crowd, room: str, message: str, answer: dict[str, Any]
) -> None:
    sender, other = await crowd.join(room), await crowd.join(room)

    await sender.send_raw(message)

    assert await sender.receive_json() == answer
    await settle([other])
    assert not other.unread


@pytest.mark.everywhere
async def test_direct_message_reaches_the_one_it_names(crowd: Crowd, room: str) -> None:
    sender, recipient, _bystander = [await crowd.join(room) for _ in range(3)]
    recipient_id = await recipient.whoami()

    await sender.say("for your eyes only", to=recipient_id, id="1")

    await recipient.expect("for your eyes only")
    assert await sender.receive_json() == {"receipt": {"id": "1", "delivered": 1, "gone": 0, "failed": 0}}


@pytest.mark.everywhere
async def test_direct_message_may_be_to_oneself(crowd: Crowd, room: str) -> None:
    sender, _bystander = await crowd.join(room), await crowd.join(room)

    await sender.say("note to self", to=await sender.whoami())

    await sender.expect("note to self")


@pytest.mark.everywhere
async def test_member_of_another_room_cannot_be_addressed(crowd: Crowd, room: str) -> None:
    sender, stranger = await crowd.join(room), await crowd.join(f"{room}-2")
    stranger_id = await stranger.whoami()

    await sender.say("let me in", to=stranger_id)

    assert await sender.receive_json() == UNKNOWN_RECIPIENT


@pytest.mark.everywhere
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_receipt_says_how_many_got_the_message(crowd: Crowd, room: str) -> None:
    members = await crowd.join_many(room, 5)

    await members[0].say("counted", id="x" * 64)

    await expect_everywhere(members, "counted")
    receipt = {"id": "x" * 64, "delivered": 5, "gone": 0, "failed": 0}
    assert await members[0].receive_json() == {"receipt": receipt}


@pytest.mark.needs_table
async def test_sender_without_items_is_told_to_connect_again(crowd: Crowd, room: str, table: ConnectionsTable) -> None:
    sender, _other = await crowd.join(room), await crowd.join(room)
    await table.remove_member(room, await sender.whoami())

    await sender.say("is anybody there")

    message = "this connection is no longer in a room; reconnect"
    assert await sender.receive_json() == error("not_joined", message)


@pytest.mark.everywhere
@pytest.mark.requires(Capability.SIZE_LIMITS)
async def test_frame_over_32_kb_closes_the_connection(crowd: Crowd, room: str) -> None:
    sender, _other = await crowd.join(room), await crowd.join(room)

    await sender.send_raw(json.dumps({"action": "sendmessage", "data": "x" * 33_000}))

    assert await sender.closed_by_server() == 1009


@pytest.mark.everywhere
@pytest.mark.requires(Capability.SIZE_LIMITS)
async def test_binary_frame_closes_the_connection(crowd: Crowd, room: str) -> None:
    sender, _other = await crowd.join(room), await crowd.join(room)

    await sender.send_raw(b'{"action":"sendmessage","data":"hello world"}')

    assert await sender.closed_by_server() == 1003
