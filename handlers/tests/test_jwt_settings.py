"""Configuration of the authorizer."""

from __future__ import annotations

import json

import pytest
from roomcast import jwt_settings
from tests.issuers import AUDIENCE, ENVIRONMENT, ISSUER, JWKS_URL


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROOMCAST_JWT_TOKEN_FROM")

    assert jwt_settings.from_environment() == jwt_settings.JwtSettings(
        jwks_url=JWKS_URL,
        secret_arn="",
        issuer=(ISSUER,),
        audience=(AUDIENCE,),
        audience_claim="aud",
        subject_claim="sub",
        rooms_claim="rooms",
        default_rooms=None,
        max_lifetime_seconds=None,
        stale_keys_minutes=60,
        token_from=frozenset({"header", "subprotocol"}),
        is_loopback_allowed=False,
    )


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "JWKS_URL": "",
        "SECRET_ARN": "arn:…",
        "ISSUER": '["a","b"]',
        "AUDIENCE": '["c","d"]',
        "AUDIENCE_CLAIM": "client_id",
        "SUBJECT_CLAIM": "uid",
        "ROOMS_CLAIM": "https://example.com/rooms",
        "DEFAULT_ROOMS": '["lobby"]',
        "MAX_LIFETIME_SECONDS": "900",
        "STALE_KEYS_MINUTES": "0",
        "TOKEN_FROM": '["query"]',
        "LOOPBACK": "true",
    }.items():
        monkeypatch.setenv(f"ROOMCAST_JWT_{name}", value)

    assert jwt_settings.from_environment() == jwt_settings.JwtSettings(
        "",
        "arn:…",
        ("a", "b"),
        ("c", "d"),
        "client_id",
        "uid",
        "https://example.com/rooms",
        ["lobby"],
        900,
        0,
        frozenset({"query"}),
        is_loopback_allowed=True,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWKS_URL", ""),
        ("SECRET_ARN", "arn:…"),
        ("ISSUER", "[]"),
        ("ISSUER", '[""]'),
        ("ISSUER", "null"),
        ("ISSUER", "https://login.example.com/"),
        ("ISSUER", '"https://login.example.com/"'),
        ("AUDIENCE", ""),
        ("AUDIENCE", "[1]"),
        ("AUDIENCE", '{"a":1}'),
        ("DEFAULT_ROOMS", "lobby"),
        ("MAX_LIFETIME_SECONDS", "-1"),
        ("MAX_LIFETIME_SECONDS", "1e3"),
        ("STALE_KEYS_MINUTES", "²"),
        ("TOKEN_FROM", '["cookie"]'),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"ROOMCAST_JWT_{name}", value)

    with pytest.raises(ValueError, match=f"ROOMCAST_JWT_{name}"):
        jwt_settings.from_environment()


def test_an_empty_list_of_default_rooms_is_no_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_JWT_DEFAULT_ROOMS", json.dumps([]))

    assert jwt_settings.from_environment().default_rooms == []
