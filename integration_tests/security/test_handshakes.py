"""Who may connect: the status of each handshake, over real sockets."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from integration_tests.harness.client import Client
from integration_tests.security.keys import EcKey, RsaKey
from integration_tests.security.minting import AUDIENCE, LIFETIME_SECONDS, claims, token
from integration_tests.security.roles import Roles
from integration_tests.targets.interface import Capability
from scripts.local.minting import SharedSecret, encoded, json_part
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integration_tests.security.conftest import Guarded, GuardedBySecret
    from integration_tests.targets.interface import Target

pytestmark = [pytest.mark.emulator_only, pytest.mark.requires(Capability.HANDSHAKE_STATUS)]

STRANGER = RsaKey("rsa")
"""A key with the id of one that is trusted."""
ANSWERED_WITHIN = 5.0
"""Seconds within which a handshake is refused although the keys cannot be fetched."""

ACCEPTED: dict[str, Callable[[Guarded], str]] = {
    "RS256": lambda guarded: token(guarded.rsa),
    "ES256": lambda guarded: token(guarded.ec),
    "audience in a list": lambda guarded: guarded.token(aud=["another", AUDIENCE]),
    "nbf and iat a little ahead": lambda guarded: guarded.token(nbf=int(time.time()) + 30, iat=int(time.time()) + 30),
    "no iat": lambda guarded: guarded.token(iat=None),
    "at+jwt": lambda guarded: token(guarded.rsa, {"typ": "at+JWT"}),
    "no typ": lambda guarded: token(guarded.rsa, {"typ": None}),
    "exp with a fraction": lambda guarded: guarded.token(exp=time.time() + LIFETIME_SECONDS),
}


def unsigned(guarded: Guarded) -> str:
    return f"{json_part({'alg': 'none', 'kid': guarded.rsa.kid})}.{json_part(claims())}."


def confused(guarded: Guarded) -> str:
    """A public key taken for a shared secret."""
    signed = f"{json_part({'alg': 'HS256', 'kid': guarded.rsa.kid})}.{json_part(claims())}"
    return f"{signed}.{encoded(hmac.digest(guarded.rsa.pem(), signed.encode(), hashlib.sha256))}"


def tampered(guarded: Guarded) -> str:
    header, _, signature = guarded.token().split(".")
    return f"{header}.{json_part(claims(sub='mallory'))}.{signature}"


def repeated_claim(guarded: Guarded) -> str:
    text = json.dumps(claims())[:-1] + ', "sub": "mallory"}'
    signed = f"{json_part({'alg': 'RS256', 'kid': guarded.rsa.kid})}.{encoded(text.encode())}"
    return f"{signed}.{encoded(guarded.rsa.sign(signed.encode()))}"


def in_header(key: str, value: object) -> Callable[[Guarded], str]:
    return lambda guarded: token(guarded.rsa, {key: value})


def with_claim(name: str, value: object) -> Callable[[Guarded], str]:
    return lambda guarded: guarded.token(**{name: value})


UNAUTHORIZED: dict[str, Callable[[Guarded], str]] = {
    "expired": lambda guarded: guarded.token(exp=int(time.time()) - 90),
    "not yet valid": lambda guarded: guarded.token(nbf=int(time.time()) + 90),
    "issued in the future": lambda guarded: guarded.token(iat=int(time.time()) + 90),
    "no exp": with_claim("exp", None),
    "exp as a text": with_claim("exp", "4102444800"),
    "exp as a truth": with_claim("exp", value=True),
    "exp beyond all numbers": with_claim("exp", 1e308),
    "wrong audience": with_claim("aud", "another"),
    "no audience": with_claim("aud", None),
    "wrong issuer": with_claim("iss", "https://identity.example"),
    "no issuer": with_claim("iss", None),
    "no subject": with_claim("sub", None),
    "long subject": with_claim("sub", "a" * 129),
    "unprintable subject": with_claim("sub", "a\nb"),
    "alg none": unsigned,
    "HS256 with the public key": confused,
    "alg of another key": lambda guarded: token(guarded.rsa, {"alg": "ES256"}),
    "RS512": in_header("alg", "RS512"),
    "unknown kid": in_header("kid", "unknown"),
    "no kid": in_header("kid", None),
    "kid as a list": in_header("kid", ["rsa"]),
    "crit": in_header("crit", ["exp"]),
    "b64": in_header("b64", value=False),
    "key in the header": lambda _guarded: token(STRANGER, {"jwk": STRANGER.jwk(), "kid": "rsa"}),
    "another key of that id": lambda _guarded: token(STRANGER),
    "tampered": tampered,
    "claim given twice": repeated_claim,
    "cut": lambda guarded: guarded.token()[:-4],
    "four parts": lambda guarded: f"{guarded.token()}.",
    "padded": lambda guarded: f"{guarded.token()}=",
    "blank": lambda _guarded: "e30.e30.e30",
    "empty parts": lambda _guarded: "..",
}


async def status_of(
    url: str, room: str | None = "a", *, headers: Sequence[tuple[str, str]] = (), subprotocols: Sequence[str] = ()
) -> int:
    """Make a handshake; return its status, 101 if it was accepted."""
    try:
        client = await Client.connect(url, room, headers=headers, subprotocols=subprotocols)
    except InvalidStatus as refusal:
        return refusal.response.status_code
    await client.close()
    return 101


def bearer(text: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {text}"


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED)
async def test_valid_token_is_accepted(guarded: Guarded, make: Callable[[Guarded], str]) -> None:
    assert await status_of(guarded.url, headers=[bearer(make(guarded))]) == 101


@pytest.mark.parametrize("make", UNAUTHORIZED.values(), ids=UNAUTHORIZED)
async def test_bad_token_is_unauthorized(guarded: Guarded, make: Callable[[Guarded], str]) -> None:
    assert await status_of(guarded.url, headers=[bearer(make(guarded))]) == 401


async def test_handshake_without_a_token_is_unauthorized(guarded: Guarded) -> None:
    assert await status_of(guarded.url) == 401
    assert await status_of(guarded.url, subprotocols=["roomcast.text"]) == 401
    assert await status_of(guarded.url, headers=[("Authorization", "Basic YWxpY2U6c2VjcmV0")]) == 401


async def test_two_tokens_are_unauthorized_even_if_both_are_valid(guarded: Guarded) -> None:
    one = guarded.token()
    offers = ["roomcast.text", f"roomcast.bearer.{one}"]

    assert await status_of(guarded.url, headers=[bearer(one), bearer(one)]) == 401
    assert await status_of(guarded.url, headers=[bearer(one)], subprotocols=offers) == 401
    assert await status_of(guarded.url, subprotocols=[*offers, f"roomcast.bearer.{guarded.token(sub='bob')}"]) == 401
    assert await status_of(f"{guarded.url}?room=a&token={one}", None, headers=[bearer(one)]) == 401
    assert await status_of(f"{guarded.url}?room=a&token={one}&token={one}", None) == 401


async def test_token_may_come_in_each_place_that_is_switched_on(guarded: Guarded) -> None:
    one = guarded.token()

    assert await status_of(guarded.url, headers=[("authorization", f"bEARER {one}")]) == 101
    assert await status_of(guarded.url, subprotocols=["roomcast.text", f"roomcast.bearer.{one}"]) == 101
    assert await status_of(f"{guarded.url}?room=a&token={one}", None) == 101


async def test_place_that_is_switched_off_is_not_looked_at(guarded_by_secret: GuardedBySecret) -> None:
    url, one = guarded_by_secret.deployment.websocket_url, token(guarded_by_secret.key)

    assert await status_of(url, headers=[bearer(one)]) == 101
    assert await status_of(url, subprotocols=["roomcast.text", f"roomcast.bearer.{one}"]) == 401
    assert await status_of(f"{url}?room=a&token={one}", None) == 401


async def test_only_the_application_protocol_is_echoed(guarded: Guarded) -> None:
    client = await Client.connect(
        guarded.url, "a", subprotocols=[f"roomcast.bearer.{guarded.token()}", "roomcast.text"]
    )

    assert client.connection.subprotocol == "roomcast.text"
    await client.close()


async def test_shared_secret_verifies_tokens(guarded_by_secret: GuardedBySecret) -> None:
    url = guarded_by_secret.deployment.websocket_url
    other = SharedSecret(b"x" * 48)

    assert await status_of(url, headers=[bearer(token(guarded_by_secret.key, {"kid": "any"}))]) == 101
    assert await status_of(url, headers=[bearer(token(other))]) == 401
    assert await status_of(url, headers=[bearer(token(STRANGER))]) == 401


async def test_oversized_token_is_unauthorized(guarded: Guarded) -> None:
    assert await status_of(guarded.url, headers=[bearer(guarded.token(filler="f" * 8192))]) == 401


async def test_the_permission_to_invoke_the_authorizer_is_needed(target: Target, guarded: Guarded) -> None:
    assert target.aws is not None
    one = [bearer(guarded.token())]

    assert await status_of(guarded.url, headers=one) == 101
    with Roles(target.aws, guarded.deployment.outputs["function_arns"]).uninvocable("authorizer"):
        assert await status_of(guarded.url, headers=one) == 500
    assert await status_of(guarded.url, headers=one) == 101


async def test_right_to_join_is_wanted_for_the_room_in_the_url(guarded: Guarded) -> None:
    only_a = bearer(guarded.token(rooms=["a"]))

    assert await status_of(guarded.url, "a", headers=[only_a]) == 101
    assert await status_of(guarded.url, "b", headers=[only_a]) == 403
    assert await status_of(guarded.url, "A", headers=[only_a]) == 403
    assert await status_of(guarded.url, None, headers=[only_a]) == 403  # asks for the default room
    assert await status_of(guarded.url, "two words", headers=[only_a]) == 400
    assert await status_of(f"{guarded.url}?room=a&room=b", None, headers=[only_a]) == 400


@pytest.mark.parametrize(
    "rooms",
    [
        None,
        [],
        {},
        "a",
        7,
        ["b"],
        ["*a"],
        ["a*b"],
        [""],
        {"a": ["send"]},
        {"a": ["presence", "history"]},
        {"a": "join"},
    ],
    ids=repr,
)
async def test_claim_that_gives_no_right_to_join_is_forbidden(guarded: Guarded, rooms: object) -> None:
    assert await status_of(guarded.url, "a", headers=[bearer(guarded.token(rooms=rooms))]) == 403


@pytest.mark.parametrize(
    "rooms", [["a"], ["a*"], ["*"], ["b", "a"], {"a": ["join"]}, {"b": [], "*": ["join"]}], ids=repr
)
async def test_claim_that_gives_the_right_to_join(guarded: Guarded, rooms: object) -> None:
    assert await status_of(guarded.url, "a", headers=[bearer(guarded.token(rooms=rooms))]) == 101


async def test_offer_without_a_known_protocol_is_a_bad_request(guarded: Guarded) -> None:
    assert await status_of(guarded.url, headers=[bearer(guarded.token())], subprotocols=["mqtt"]) == 400


@pytest.mark.requires(Capability.DEATHS)
async def test_key_endpoint_that_hangs_refuses_in_time_and_known_keys_go_on(guarded: Guarded, target: Target) -> None:
    function = guarded.deployment.outputs["function_arns"]["authorizer"].rpartition(":")[2]
    target.kill(function)
    with guarded.endpoint.hanging():
        began_at = time.monotonic()
        assert await status_of(guarded.url, headers=[bearer(guarded.token())]) == 500
        assert time.monotonic() - began_at < scaled(ANSWERED_WITHIN)

    target.kill(function)
    known = partial(status_of, guarded.url, headers=[bearer(guarded.token())])
    # A process that starts on a busy machine may take longer than the keys' time limit.
    await eventually(known, 101, within=30, what="an authorizer that knows the keys")
    with guarded.endpoint.hanging():
        assert await status_of(guarded.url, headers=[bearer(guarded.token())]) == 101
        assert await status_of(guarded.url, headers=[bearer(token(EcKey("unknown")))]) == 401


async def test_many_handshakes_ask_for_the_keys_once(guarded: Guarded) -> None:
    await status_of(guarded.url, headers=[bearer(guarded.token())])
    before = guarded.endpoint.requests

    for _ in range(10):
        assert await status_of(guarded.url, headers=[bearer(guarded.token())]) == 101
        assert await status_of(guarded.url, headers=[bearer(unsigned(guarded))]) == 401

    assert guarded.endpoint.requests == before
