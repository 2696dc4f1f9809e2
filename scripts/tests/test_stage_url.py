"""The URL of a stage is validated, and a room is added to it."""

from __future__ import annotations

import pytest

from scripts.stage_url import StageUrlError, in_room, stage_url

STAGE = "wss://abc123.execute-api.eu-central-1.amazonaws.com/live"
SECRET = "swordfish"


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        (STAGE, STAGE),
        (f"  {STAGE}\n", STAGE),
        (f"{STAGE}/", STAGE),
        ("WSS" + STAGE.removeprefix("wss"), STAGE),
        ("wss://chat.example.com", "wss://chat.example.com"),
        ("wss://chat.example.com/", "wss://chat.example.com"),
        ("wss://chat.example.com:8443/base/path", "wss://chat.example.com:8443/base/path"),
        ("wss://abc123.execute-api.cn-north-1.amazonaws.com.cn/v1", None),
        ("ws://127.0.0.1:4566/_aws/execute-api/abc/live", None),
        ("ws://[::1]:4566/live", None),
        ("ws://192.168.1.7:4566/live", None),
        ("ws://localhost/live", None),
        ("ws://abc.execute-api.localhost:4566/live", None),
        ("ws://abc.execute-api.localhost.localstack.cloud:4566/live", None),
        ("ws://emulator:4566/live", None),
        (f"wss://{'x' * 63}.m\u00fcnchen.example.com./live", None),
    ],
)
def test_stages_are_accepted(given: str, accepted: str | None) -> None:
    assert stage_url(given) == (accepted or given)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "is no WebSocket URL"),
        ("abc123.execute-api.eu-central-1.amazonaws.com/live", "is no WebSocket URL"),
        (STAGE.replace("wss", "https"), "is no WebSocket URL"),
        ("http://127.0.0.1:4566/live", "is no WebSocket URL"),
        ("wss://", "is no WebSocket URL"),
        ("wss:///live", "is no WebSocket URL"),
        ("wss://a..b.com/live", "names no host"),
        ("wss://./live", "names no host"),
        (f"wss://{'x' * 64}.com/live", "names no host"),
        (f"wss://user:{SECRET}@a..b.com/live?token={SECRET}", "names no host"),
        (f"https://user:{SECRET}@host/live?token={SECRET}#{SECRET}", "is no WebSocket URL"),
        ("wss://host:port/live", "cannot be read"),
        ("wss://host:99999/live", "cannot be read"),
        (f"wss://[half/live?token={SECRET}", "cannot be read"),
        ("wss://host/li ve", "white space"),
        (f"wss://host/live?token={SECRET}\x00", "white space"),
        (f"wss://user:{SECRET}@host/live", "carries credentials"),
        (f"{STAGE}?token={SECRET}", "a query or a fragment"),
        (f"{STAGE}/?token={SECRET}&room=x", "a query or a fragment"),
        (f"wss://chat.example.com?{SECRET}", "a query or a fragment"),
        (f"{STAGE}#{SECRET}", "a query or a fragment"),
        (f"{STAGE}?", "a query or a fragment"),
        (f"{STAGE}#", "a query or a fragment"),
        ("ws://chat.example.com/live", "is not encrypted"),
        ("ws://chat.notlocalhost/live", "is not encrypted"),
        ("ws://notlocalhost.localstack.cloud/live", "is not encrypted"),
        ("ws://localhost.example.com/live", "is not encrypted"),
        ("ws://localhost.localstack.cloud.example.com/live", "is not encrypted"),
        ("ws://127.0.0.1.example.com/live", "is not encrypted"),
        ("ws://52.1.2.3/live", "is not encrypted"),
        ("wss://abc123.execute-api.eu-central-1.amazonaws.com", "names no stage"),
        ("wss://abc123.execute-api.eu-central-1.amazonaws.com/", "names no stage"),
    ],
)
def test_other_urls_are_refused_in_one_sentence_without_their_secrets(given: str, reason: str) -> None:
    with pytest.raises(StageUrlError, match=reason) as refusal:
        stage_url(given)

    assert SECRET not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("room", "url"),
    [
        (None, STAGE),
        ("lobby", f"{STAGE}?room=lobby"),
        ("", f"{STAGE}?room="),
        ("a&b=c?d#e f/ü", f"{STAGE}?room=a%26b%3Dc%3Fd%23e%20f%2F%C3%BC"),
    ],
)
def test_room_is_added(room: str | None, url: str) -> None:
    assert in_room(STAGE, room) == url


@pytest.mark.parametrize("tail", ["?token=t", "?", "#part"])
def test_url_that_carries_a_query_already_takes_no_room(tail: str) -> None:
    with pytest.raises(ValueError, match="room cannot be added"):
        in_room(STAGE + tail, "lobby")
