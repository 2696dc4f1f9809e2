"""A Lambda authorizer comes, is exchanged and goes, and so do tokens, each in one apply; clients stay connected."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest
import websockets
from websockets.exceptions import InvalidStatus

from integration_tests.harness.client import Client
from integration_tests.recover.state import objects_of, planned, type_of
from integration_tests.recover.talkers import LONGEST_GAP, crowd
from integration_tests.recover.variables import OF_TOKENS, POLICY, VERSION, filled
from integration_tests.security import minting
from scripts.local.minting import SharedSecret
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Any

    from integration_tests.recover.conftest import Root
    from integration_tests.recover.talkers import Crowd
    from integration_tests.recover.withholding import Withholding
    from integration_tests.targets.interface import Target
    from scripts.local.deployment import AppliedRoot
    from scripts.terraform import Plan

pytestmark = pytest.mark.emulator_only

SECRET = "a secret of more than 32 bytes, which signs nothing but tests"
MESSAGES_AFTERWARDS = 10
"""Two of each talker in the room, so that each is connected with its token."""
AUTHORIZERS = "apigateway DELETE /apis/*/authorizers/*"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("is_whole", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_an_authorizer_comes_is_exchanged_and_goes(
    root: Root, given: Mapping[str, str], rights: Withholding, *, is_whole: bool
) -> None:
    instance = root()
    ones_own = {"authorization_type": "CUSTOM", "authorizer_function_arn": given["authorizer"]}
    another = {**ones_own, "authorizer_function_arn": given["other_authorizer"]}
    try:
        await switch(instance, {}, 101)
        before = {each.address for each in objects_of(instance)}
        async with staying(instance):
            await switch(instance, ones_own, 101)
            if is_whole:
                await switch(instance, another, 101)
                await switch(instance, {**another, "authorizer_permission": False}, 500)
                await switch(instance, another, 101)
                await switch(instance, {"authorization_type": "AWS_IAM"}, 403)
                await switch(instance, another, 101)
            await switch(instance, {}, 101)
            assert {each.address for each in objects_of(instance)} == before
    finally:
        await asyncio.to_thread(instance.destroy)
    assert AUTHORIZERS in rights.seen


@asynccontextmanager
async def staying(instance: AppliedRoot) -> AsyncIterator[None]:
    """Keep a client connected while the context lasts, and check at its end that it hears itself."""
    client = await Client.connect(instance.deployment().websocket_url, "stays")
    try:
        yield
        await client.say("hello world")
        await client.expect("hello world")
    finally:
        await client.close()


async def switch(instance: AppliedRoot, variables: Mapping[str, Any], status: int) -> set[str]:
    """Apply with these variables alone; check how a new client is answered, and that the next plan is empty.

    Args:
        instance: The instance.
        variables: Variables besides its name.
        status: The status.

    Returns:
        The types of the objects that the apply has touched.
    """
    instance.variables = {"name": instance.variables["name"], **variables}
    lines: list[str] = []
    instance.report = lines.append
    await asyncio.to_thread(instance.apply)
    instance.report = None
    assert await handshake(instance) == status
    plan: Plan = await asyncio.to_thread(instance.plan)
    assert not plan.changes, plan.text
    return set(map(type_of, planned("\n".join(lines))))


async def handshake(instance: AppliedRoot) -> int:
    """Connect, speak and leave, if the stage lets a client in; return the status."""
    try:
        client = await Client.connect(instance.deployment().websocket_url, "lobby")
    except InvalidStatus as refusal:
        return refusal.response.status_code
    try:
        await client.say("hello world")
        await client.expect("hello world")
    finally:
        await client.close()
    return 101


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("is_whole", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_tokens_come_change_and_go(root: Root, target: Target, *, is_whole: bool) -> None:
    """Those who had no token hear nothing any more, and those who have one miss nothing.

    The variables change at the same time; in the long test, one after the other.
    """
    assert target.aws is not None
    secrets_manager = target.aws.session.client("secretsmanager", endpoint_url=target.aws.endpoint_url)
    found = {
        name: secrets_manager.create_secret(Name=f"tokens-{token_hex(4)}", SecretString=SECRET)["ARN"]
        for name in ("secret", "other_secret")
    }
    instance = root()
    tokens = {
        "authorization_type": "JWT",
        "jwt_audience": ["chat"],
        "jwt_issuer": ["https://id.example.com/"],
        "jwt_secret_arn": found["secret"],
    }
    try:
        await switch(instance, {}, 101)
        before = {each.address for each in objects_of(instance)}
        with_token = crowd(instance.deployment().websocket_url, headers=bearer(token(["*"])))
        async with with_token as talkers, listening(instance, talkers):
            await switch(instance, tokens, 401)
        assert await handshake_with(instance, token(["lobby"])) == 101
        assert await handshake_with(instance, token(["other"])) == 403
        assert await handshake_with(instance, token(["lobby"]) + "A") == 401
        async with crowd(instance.deployment().websocket_url, headers=bearer(token(["*"]))):
            for names in [[name] for name in OF_TOKENS] if is_whole else [[*OF_TOKENS]]:
                values = filled({name: OF_TOKENS[name][0] for name in names}, found)
                touched = set[str]().union(*(OF_TOKENS[name][1] for name in names))
                assert await switch(instance, {**tokens, **values}, 401) == touched, names
                assert await handshake_with(instance, token(["lobby"])) == 101
                assert await switch(instance, tokens, 401) == touched, names
        if is_whole:
            keys = {"jwt_jwks_url": "https://id.example.com/keys", "jwt_secret_arn": None}
            assert await switch(instance, {**tokens, **keys}, 401) == {*VERSION, POLICY}
        await switch(instance, {}, 101)
        assert {each.address for each in objects_of(instance)} == before
    finally:
        await asyncio.to_thread(instance.destroy)


@asynccontextmanager
async def listening(instance: AppliedRoot, talkers: Crowd) -> AsyncIterator[None]:
    """Have a client without a token listen while tokens are switched on: it hears the talkers before, and not after."""
    room = talkers.talkers[0].room
    listener = await Client.connect(instance.deployment().websocket_url, room)
    try:
        await listener.receive()
        yield
        await listener.settle()
        listener.unread.clear()
        enough = said_in(room, talkers) + MESSAGES_AFTERWARDS

        async def have_talked() -> bool:
            return said_in(room, talkers) >= enough

        await eventually(have_talked, expected=True, within=LONGEST_GAP, what="messages afterwards")
        await listener.settle()
        assert not listener.unread, f"a client from before has heard {len(listener.unread)} messages"
        await listener.say("hello world")
        assert (await listener.receive_json())["error"]["code"] == "token_expired"
    finally:
        await listener.close()


def said_in(room: str, talkers: Crowd) -> int:
    """Return how many messages the talkers of a room have had acknowledged."""
    return sum(len(stay.said) for talker in talkers.talkers for stay in talker.stays if stay.room == room)


def token(rooms: list[str]) -> str:
    """Return a token for some rooms, signed with the secret; its claims are under the changed names, too."""
    return minting.token(
        SharedSecret(SECRET.encode()),
        aud="chat",
        client_id="chat",
        exp=int(time.time()) + 3600,
        groups=rooms,
        iss="https://id.example.com/",
        rooms=rooms,
        username="alice",
    )


def bearer(text: str) -> dict[str, str]:
    """Return the header of a handshake with a token."""
    return {"Authorization": f"Bearer {text}"}


async def handshake_with(instance: AppliedRoot, text: str) -> int:
    """Ask for the room ``lobby`` with a token in the header; return the status."""
    url = f"{instance.deployment().websocket_url}?room=lobby"
    try:
        async with websockets.connect(url, additional_headers=bearer(text), open_timeout=scaled(20)):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code
