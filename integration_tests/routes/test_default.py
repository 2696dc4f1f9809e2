"""`$default` answers every message that no other route takes with a documented error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness.answers import error

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd

NOT_JSON = error("not_json", "the message is not JSON; send a JSON object with an action")
NOT_AN_OBJECT = error("not_an_object", "the message is JSON but not an object; send a JSON object with an action")
NO_ACTION = error("no_action", "the message has no action; name a route of this API, as a string")
UNKNOWN_ACTION = error("unknown_action", "the action names no route of this API; name one that it has")

BAD_MESSAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("hello world", NOT_JSON),
    "cut-off": ('{"action":"sendmessage","data":', NOT_JSON),
    "single-quotes": ("{'action':'sendmessage','data':'x'}", NOT_JSON),
    "list": ('["sendmessage"]', NOT_AN_OBJECT),
    "null": ("null", NOT_AN_OBJECT),
    "number": ("17", NOT_AN_OBJECT),
    "string": ('"sendmessage"', NOT_AN_OBJECT),
    "empty-object": ("{}", NO_ACTION),
    "no-action": ('{"data":"x"}', NO_ACTION),
    "action-null": ('{"action":null,"data":"x"}', NO_ACTION),
    "action-empty": ('{"action":"","data":"x"}', NO_ACTION),
    "action-number": ('{"action":17,"data":"x"}', NO_ACTION),
    "action-list": ('{"action":["sendmessage"],"data":"x"}', NO_ACTION),
    "unknown": ('{"action":"shout","data":"x"}', UNKNOWN_ACTION),
    "other-case": ('{"action":"SendMessage","data":"x"}', UNKNOWN_ACTION),
    "reserved-connect": ('{"action":"$connect"}', UNKNOWN_ACTION),
    "reserved-disconnect": ('{"action":"$disconnect"}', UNKNOWN_ACTION),
    "reserved-default": ('{"action":"$default"}', UNKNOWN_ACTION),
}


@pytest.mark.everywhere
@pytest.mark.parametrize(("message", "answer"), BAD_MESSAGES.values(), ids=BAD_MESSAGES)
async def test_caller_alone_is_told_what_was_wrong(
    crowd: Crowd, room: str, message: str, answer: dict[str, Any]
) -> None:
    caller, _other = await crowd.join(room), await crowd.join(room)

    await caller.send_raw(message)

    assert await caller.receive_json() == answer


@pytest.mark.everywhere
async def test_connection_is_as_good_as_before(crowd: Crowd, room: str) -> None:
    caller = await crowd.join(room)
    await caller.send_raw('{"action":"$disconnect"}')
    assert await caller.receive_json() == UNKNOWN_ACTION

    await caller.say("still a member")

    await caller.expect("still a member")


@pytest.mark.everywhere
async def test_answer_repeats_nothing_of_the_message(crowd: Crowd, room: str) -> None:
    caller = await crowd.join(room)

    await caller.send_raw('{"action":"<script>"}')

    assert "<script>" not in (await caller.receive()).text
