"""A token for one room gives no right in another, for any actions of its owner in any order."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import InvalidStatus

from integration_tests.harness import v1
from integration_tests.harness.crowd import settle
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integration_tests.harness.client import Client
    from integration_tests.harness.crowd import Crowd
    from integration_tests.security.conftest import Guarded

pytestmark = pytest.mark.emulator_only

RIGHTS: tuple[list[str], ...] = ([], ["join"], ["send"], ["join", "send"])
SEQUENCES = 12
ACTIONS = 8
LEEWAY = 60
"""Seconds that a token is good for after its ``exp``."""


async def joined(crowd: Crowd, room: str, token: str) -> Client:
    return await crowd.join(room, headers=[("Authorization", f"Bearer {token}")])


async def answer(client: Client, action: str, **members: Any) -> Any:  # noqa: ANN401 - any JSON value
    await client.send(action, **members)
    return await client.receive_json()


async def test_message_stays_in_its_room_and_its_error_says_no_more(
    guarded: Guarded, admitted: Crowd, room: str
) -> None:
    a, b = f"{room}-a", f"{room}-b"
    insider = await joined(admitted, b, guarded.token(sub="bob", rooms=[b]))
    outsider = await joined(admitted, a, guarded.token(rooms=[a]))

    to_insider = await answer(outsider, "sendmessage", data="x", to=await insider.whoami())
    to_none = await answer(outsider, "sendmessage", data="x", to="bm90aGluZyBoZXJl")
    await outsider.say("only in a", room=b)

    assert to_insider["error"]["code"] == to_none["error"]["code"] == "unknown_recipient"
    await outsider.expect("only in a")
    await settle([insider])
    assert not insider.unread


async def test_member_without_the_right_to_send_only_listens(guarded: Guarded, admitted: Crowd, room: str) -> None:
    speaker = await joined(admitted, room, guarded.token(sub="bob", rooms=[room]))
    listener = await joined(admitted, room, guarded.token(rooms={room: ["join"]}))

    said = await answer(listener, "sendmessage", data="x")
    told = await answer(listener, "sendmessage", data="x", to=await speaker.whoami())
    nonsense = await answer(listener, "sendmessage", data="")
    await speaker.say("hello world")

    assert said["error"]["code"] == told["error"]["code"] == "not_allowed"
    assert nonsense["error"]["code"] in {"not_allowed", "missing_data"}
    await speaker.expect("hello world")
    await listener.expect("hello world")


async def test_smaller_token_takes_rights_away_from_the_next_connection(
    guarded: Guarded, admitted: Crowd, room: str
) -> None:
    first = await joined(admitted, room, guarded.token(rooms=[room]))
    await first.say("before")
    await first.expect("before")
    await first.close()

    second = await joined(admitted, room, guarded.token(rooms={room: ["join"]}))
    assert (await answer(second, "sendmessage", data="after"))["error"]["code"] == "not_allowed"
    with pytest.raises(InvalidStatus):
        await joined(admitted, room, guarded.token(rooms=[]))


async def test_identity_is_that_of_the_token(guarded: Guarded, admitted: Crowd, room: str) -> None:
    client = await joined(admitted, room, guarded.token(sub="carol@example"))

    assert (await answer(client, "whoami"))["whoami"]["identity"] == "carol@example"


async def test_rights_hold_in_rooms_that_are_joined_after_the_handshake(
    guarded: Guarded, admitted: Crowd, room: str
) -> None:
    a, b = f"{room}-a", f"{room}-b"
    witness = await joined(admitted, b, guarded.token(sub="bob", rooms=[b]))
    bearer = guarded.token(sub="vera", rooms={a: ["join", "send", "presence"]})
    # As a browser does.
    vera = await admitted.join(subprotocols=[v1.NAME, f"roomcast.bearer.{bearer}"])
    assert vera.connection.subprotocol == v1.NAME

    assert (await answer(vera, "join", room=a))["type"] == "joined"
    for action, fields in (
        ("join", {"room": b}),
        ("join", {"room": a, "since": {"epoch": "k", "seq": 1}}),
        ("sendmessage", {"room": b, "data": "x"}),
        ("who", {"room": b}),
    ):
        assert (await answer(vera, action, **fields))["code"] == "not_allowed"
    assert (await answer(vera, "ping", rooms={a: {}, b: {}}))["rooms"] == {a: {}, b: None}
    assert (await answer(vera, "who", room=a))["members"] == ["vera"]
    assert (await answer(vera, "sendmessage", room=a, data="x"))["from"] == "vera"
    await settle([witness])
    assert not witness.unread


@pytest.mark.parametrize("seed", range(SEQUENCES))
async def test_any_sequence_of_actions_keeps_to_the_rights(
    guarded: Guarded, admitted: Crowd, room: str, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a story to repeat, no secret
    names = [f"{room}-a", f"{room}-b"]
    witnesses = {name: await joined(admitted, name, guarded.token(sub="witness", rooms=[name])) for name in names}
    clients: list[tuple[Client, str, Mapping[str, list[str]]]] = []
    heard = dict.fromkeys(names, 0)

    for step in range(ACTIONS):
        rights = {name: chance.choice(RIGHTS) for name in names}
        name = chance.choice(names)
        if not clients or chance.random() < 0.5:
            if "join" in rights[name]:
                clients.append((await joined(admitted, name, guarded.token(rooms=rights)), name, rights))
            else:
                with pytest.raises(InvalidStatus) as refusal:
                    await joined(admitted, name, guarded.token(rooms=rights))
                assert refusal.value.response.status_code == 403
            continue
        client, at, own = chance.choice(clients)
        text = f"step {step}"
        if "send" in own[at]:
            await client.say(text, room=name)
            present = [each for each, place, _ in clients if place == at]
            await asyncio.gather(*(each.expect(text) for each in [*present, witnesses[at]]))
            heard[at] += 1
        else:
            assert (await answer(client, "sendmessage", data=text))["error"]["code"] == "not_allowed"

    await settle(witnesses.values())
    assert not any(witness.unread for witness in witnesses.values()), heard


async def test_expired_token_ends_what_it_allowed(guarded: Guarded, admitted: Crowd, room: str) -> None:
    speaker = await joined(admitted, room, guarded.token(sub="bob", rooms=[room]))
    lasts = scaled(8)
    late = await joined(admitted, room, guarded.token(rooms=[room], exp=int(time.time() + lasts) - LEEWAY))
    await late.say("in time")
    await asyncio.gather(late.expect("in time"), speaker.expect("in time"))

    async def code() -> str:
        await late.send("sendmessage", data="", id="asks")
        error: str = (await late.receive_json())["error"]["code"]
        return error

    await eventually(code, "token_expired", within=lasts + 10, what="the token to expire")
    await speaker.say("too late")
    await speaker.expect("too late")
    assert (await answer(late, "whoami"))["whoami"]["room"] == room
    await settle([late])
    assert not late.unread
