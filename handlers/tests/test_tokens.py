"""Which handshakes have one good token."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from roomcast import jwt_settings
from roomcast.signing_keys import Key, keys_of
from roomcast.tokens import Grant, RefusedError, Verifier, token_of
from tests.issuers import (
    AUDIENCE,
    ENVIRONMENT,
    ISSUER,
    bearer,
    claims,
    ec_entry,
    encoded,
    event,
    key_set,
    rsa_entry,
    rsa_key,
    signed,
    token,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomcast.jwt_settings import JwtSettings

SECRET = b"0123456789abcdef0123456789abcdef"
EVERYWHERE = frozenset(jwt_settings.PLACES)


class FixedKeys:
    """Keys that are there at once."""

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self.keys = keys
        self.asked: list[str | None] = []

    def find(self, key_id: str | None, _deadline: float) -> Sequence[Key]:
        self.asked.append(key_id)
        return [key for name, key in self.keys.items() if name == key_id]


class Secrets:
    """Shared secrets, the current one first."""

    def __init__(self, *secrets: bytes) -> None:
        self.secrets = secrets

    def find(self, _key_id: str | None, _deadline: float) -> Sequence[Key]:
        return [Key("HS256", secret) for secret in self.secrets]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> JwtSettings:
    """Settings with all places for tokens."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return jwt_settings.from_environment()


@pytest.fixture
def verifier(settings: JwtSettings) -> Verifier:
    """A verifier that knows the issuer's keys."""
    return Verifier(settings, FixedKeys(keys_of(key_set(rsa_entry(), ec_entry()))))


def refusal(verifier: Verifier, text: str) -> str:
    with pytest.raises(RefusedError) as caught:
        verifier.verify(bearer(text), 0)
    assert caught.value.__context__ is None
    return str(caught.value)


class TestPlaces:
    """Where a token may stand."""

    @pytest.mark.parametrize(
        "found",
        [
            event(headers={"Authorization": ["Bearer a.b.c"]}),
            event(headers={"authorization": ["bEaReR a.b.c"]}),
            event(headers={"AUTHORIZATION": ["", " \t", "Bearer a.b.c"]}),
            event(headers={"Sec-WebSocket-Protocol": ["roomcast.bearer.a.b.c"]}),
            event(headers={"sec-websocket-protocol": ["roomcast.text, \troomcast.bearer.a.b.c ,x"]}),
            event(headers={"Sec-WebSocket-Protocol": ["roomcast.text", "roomcast.bearer.a.b.c"]}),
            event(query={"token": ["a.b.c"], "Token": ["d.e.f"], "room": ["lobby"]}),
            event(query={"token": ["a.b.c", ""]}),
            {"headers": {"Authorization": "Bearer a.b.c"}, "multiValueHeaders": None},
            {"queryStringParameters": {"token": "a.b.c"}},
        ],
    )
    def test_a_token_is_found(self, found: dict[str, Any]) -> None:
        assert token_of(found, EVERYWHERE) == "a.b.c"

    @pytest.mark.parametrize(
        "found",
        [
            event(headers={"Authorization": ["Bearer a.b.c", "Bearer a.b.c"]}),
            event(headers={"Authorization": ["Bearer a.b.c"], "authorization": ["Bearer a.b.c"]}),
            event(headers={"Authorization": ["Basic YTpi", "Bearer a.b.c"]}),
            event(headers={"Authorization": ["Bearer a.b.c"], "Sec-WebSocket-Protocol": ["roomcast.bearer.a.b.c"]}),
            event(headers={"Authorization": ["Bearer"], "Sec-WebSocket-Protocol": ["roomcast.bearer.a.b.c"]}),
            event(headers={"Sec-WebSocket-Protocol": ["roomcast.bearer.a.b.c,roomcast.bearer.a.b.c"]}),
            event(headers={"Sec-WebSocket-Protocol": ["roomcast.bearer.a.b.c"], "SEC-WEBSOCKET-PROTOCOL": [
                "roomcast.bearer.d.e.f"
            ]}),
            event(headers={"Sec-WebSocket-Protocol": ["roomcast.bearer.a.b.c", "roomcast.bearer."]}),
            event(query={"token": ["a.b.c", "a.b.c"]}),
            event(headers={"Authorization": ["Bearer a.b.c"]}, query={"token": ["not even a token"]}),
        ],
    )  # fmt: skip
    def test_two_tokens_are_refused_also_when_they_are_the_same(self, found: dict[str, Any]) -> None:
        with pytest.raises(RefusedError, match="several tokens"):
            token_of(found, EVERYWHERE)

    @pytest.mark.parametrize(
        "found",
        [
            {},
            event(),
            event(headers={"Authorization": [""]}),
            event(headers={"Sec-WebSocket-Protocol": ["roomcast.text", "roomcast.bearer", "Roomcast.Bearer.a.b.c"]}),
            event(headers={"token": ["a.b.c"], "X-Authorization": ["Bearer a.b.c"]}),
            event(query={"Token": ["a.b.c"], "Authorization": ["Bearer a.b.c"], "token": [""]}),
        ],
    )
    def test_nothing_else_is_a_token(self, found: dict[str, Any]) -> None:
        with pytest.raises(RefusedError, match="no token"):
            token_of(found, EVERYWHERE)

    @pytest.mark.parametrize("place", jwt_settings.PLACES)
    def test_a_place_that_is_off_is_not_looked_at(self, place: str) -> None:
        tokens = {"header": "a.a.a", "subprotocol": "b.b.b", "query": "c.c.c"}
        found = event(
            headers={
                "Authorization": ["Bearer a.a.a"],
                "Sec-WebSocket-Protocol": ["roomcast.bearer.b.b.b"],
            },
            query={"token": ["c.c.c"]},
        )

        assert token_of(found, frozenset({place})) == tokens[place]

    @pytest.mark.parametrize(
        "value",
        [
            "Basic YTpi",
            "Bearer",
            "Bearer ",
            "Bearer  a.b.c",
            "Bearer\ta.b.c",
            " Bearer a.b.c",
            "Bearer a.b.c ",
            "Bearer a.b.c\n",
            "Bearer a.b.c, Bearer d.e.f",
            "Bearer a.b",
            "Bearer a.b.",
            "Bearer .b.c",
            "Bearer a.b.c.d",
            "Bearer a.b.c.d.e",
            "Bearer a.b.c==",
            "Bearer a+b.c/d.e",
            "Bearer {}",
            "Bearer ä.b.c",
            "Bearer \ud800.b.c",
            "Bearer \u0661.b.c",
            "Bearer " + "a." * 2 + "a" * 8189,
            "Digest a.b.c",
            "Bearerx a.b.c",
            "a.b.c",
        ],
    )
    def test_a_wrong_form_is_refused(self, value: str) -> None:
        with pytest.raises(RefusedError, match="form"):
            token_of(event(headers={"Authorization": [value]}), EVERYWHERE)

    def test_the_longest_token_has_8192_characters(self) -> None:
        longest = "a." * 2 + "a" * 8188

        assert token_of(event(headers={"Authorization": [f"Bearer {longest}"]}), EVERYWHERE) == longest


class TestGood:
    """Tokens that are good."""

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
    def test_a_token_gives_subject_rooms_and_expiry(self, verifier: Verifier, algorithm: str) -> None:
        expires_at = int(time.time()) + 100

        assert verifier.verify(bearer(token(algorithm, exp=expires_at)), 0) == Grant("alice", ["lobby"], expires_at)

    @pytest.mark.parametrize(
        "changed",
        [
            {"aud": ["other", AUDIENCE]},
            {"iat": None},
            {"nbf": 0},
            {"nbf": ("now", -0.5)},
            {"exp": ("now", 600.75)},
            {"exp": 2**53},
            {"exp": ("now", -30)},
            {"nbf": ("now", 30), "iat": ("now", 30)},
            {"sub": "x" * 128},
            {"sub": "Ünïcode 😀"},
            {"jti": 5},
        ],
    )
    def test_these_are_good_too(self, verifier: Verifier, changed: dict[str, Any]) -> None:
        grant = verifier.verify(bearer(token(**changed)), 0)

        assert grant.subject == changed.get("sub", "alice")
        assert isinstance(grant.expires_at, int)

    @pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "AT+JWT"])
    def test_these_types_are_tokens(self, verifier: Verifier, kind: str) -> None:
        assert verifier.verify(bearer(token(headers={"typ": kind})), 0).subject == "alice"

    def test_keys_within_the_header_are_never_read(self, verifier: Verifier) -> None:
        headers = {"jwk": 1, "jku": "https://evil.example.com", "x5u": [], "x5c": None}

        assert verifier.verify(bearer(token(headers=headers)), 0).subject == "alice"

    def test_the_subject_is_left_as_it_is(self, verifier: Verifier) -> None:
        assert verifier.verify(bearer(token(sub=" Ǆ e\u0301 ")), 0).subject == " Ǆ e\u0301 "

    def test_other_claims_can_be_configured(self, settings: JwtSettings) -> None:
        changed = settings._replace(audience_claim="client_id", subject_claim="uid", rooms_claim="x_rooms")
        verifier = Verifier(changed, FixedKeys(keys_of(key_set(rsa_entry()))))
        text = token(aud=None, sub=5, client_id=AUDIENCE, uid="u1", rooms=None, x_rooms={"a*": ["join"]})

        assert verifier.verify(bearer(text), 0)[:2] == ("u1", {"a*": ["join"]})
        assert refusal(verifier, token(uid="u1")) == "claim missing"

    @pytest.mark.parametrize(("default", "rooms"), [(None, []), (["lobby"], ["lobby"])])
    def test_without_the_claim_the_default_counts(
        self, settings: JwtSettings, default: list[str] | None, rooms: list[str]
    ) -> None:
        verifier = Verifier(settings._replace(default_rooms=default), FixedKeys(keys_of(key_set(rsa_entry()))))
        assert verifier.verify(bearer(token(rooms=None)), 0).rooms == rooms
        empty = signed('{"alg":"RS256","kid":"rsa"}', json.dumps({**claims(), "rooms": None}))
        assert verifier.verify(bearer(empty), 0).rooms is None


class TestRefused:
    """Tokens that are not good, by their fault."""

    @pytest.mark.parametrize(
        ("reason", "changed"),
        [
            ("expired", {"exp": ("now", -61)}),
            ("expired", {"exp": 0}),
            ("not yet valid", {"nbf": ("now", 3600)}),
            ("not yet valid", {"iat": ("now", 3600)}),
            ("issuer", {"iss": "https://login.example.com"}),
            ("issuer", {"iss": [ISSUER]}),
            ("issuer", {"iss": {}}),
            ("audience", {"aud": "other"}),
            ("audience", {"aud": ""}),
            ("audience", {"aud": []}),
            ("audience", {"aud": [[AUDIENCE]]}),
            ("audience", {"aud": [AUDIENCE, 5]}),
            ("audience", {"aud": {AUDIENCE: 1}}),
            ("audience", {"aud": "Roomcast"}),
            ("subject", {"sub": ""}),
            ("subject", {"sub": "x" * 129}),
            ("subject", {"sub": 5}),
            ("subject", {"sub": ["alice"]}),
            ("subject", {"sub": "a\nb"}),
            ("subject", {"sub": "a\u0000"}),
            ("subject", {"sub": "a\u202eb"}),
            ("subject", {"sub": "a\ud800"}),
            ("date", {"exp": "4102444800"}),
            ("date", {"exp": 1e308}),
            ("date", {"exp": 2**53 + 1}),
            ("expired", {"exp": True}),
            ("date", {"nbf": False}),
            ("date", {"iat": "0"}),
            ("expired", {"exp": -1}),
            ("date", {"nbf": -1}),
            ("claim missing", {"exp": None}),
            ("claim missing", {"iss": None}),
            ("claim missing", {"aud": None}),
            ("claim missing", {"sub": None}),
        ],
    )
    def test_claims(self, verifier: Verifier, reason: str, changed: dict[str, Any]) -> None:
        header = '{"alg":"RS256","kid":"rsa"}'
        assert refusal(verifier, signed(header, json.dumps(claims(**changed)))) == reason

    @pytest.mark.parametrize(
        "header",
        [
            {"crit": []},
            {"crit": ["b64"], "b64": False},
            {"b64": True},
            {"zip": "DEF"},
            {"typ": "JOSE"},
            {"typ": None},
            {"typ": ["JWT"]},
            {"kid": 5},
            {"kid": None},
            {"kid": ["rsa"]},
        ],
    )
    def test_headers(self, verifier: Verifier, header: dict[str, Any]) -> None:
        text = signed(json.dumps({"alg": "RS256", "kid": "rsa", **header}), json.dumps(claims()))

        assert refusal(verifier, text) == "header"

    @pytest.mark.parametrize(
        "header", ["[]", "5", "", '{"alg":"RS256","kid":"rsa","kid":"rsa"}', '{"kid":NaN}', "\xff"]
    )
    def test_headers_that_are_no_objects_with_one_meaning(self, verifier: Verifier, header: str) -> None:
        with pytest.raises(Exception, match=r"."):
            verifier.verify(bearer(signed(header, json.dumps(claims()))), 0)

    @pytest.mark.parametrize(
        "payload",
        [
            "[]",
            json.dumps(claims())[:-1] + ',"sub":"bob"}',
            json.dumps(claims())[:-1] + ',"x":{"a":1,"a":2}}',
            json.dumps(claims())[:-1] + ',"x":NaN}',
            json.dumps(claims())[:-1] + ',"x":1e999}',
            json.dumps(claims())[:-1] + ',"exp":' + "9" * 4000 + "}",
            json.dumps(claims())[:-1] + ',"x":' + "[" * 3000 + "]" * 3000 + "}",
        ],
    )
    def test_claims_that_are_no_object_with_one_meaning(self, verifier: Verifier, payload: str) -> None:
        with pytest.raises(Exception, match=r"."):
            verifier.verify(bearer(signed('{"alg":"RS256","kid":"rsa"}', payload)), 0)

    @pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "ES256", "RS384", "PS256", "EdDSA", "", 5, None])
    def test_the_algorithm_is_the_keys(self, verifier: Verifier, algorithm: object) -> None:
        text = signed(json.dumps({"alg": algorithm, "kid": "rsa"}), json.dumps(claims()))

        assert refusal(verifier, text) in {"algorithm", "unreadable"}

    @pytest.mark.parametrize(
        "encoding", [serialization.Encoding.PEM, serialization.Encoding.DER], ids=["text", "binary"]
    )
    def test_a_public_key_is_no_secret(self, verifier: Verifier, encoding: serialization.Encoding) -> None:
        public = rsa_key().public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        message = (
            f"{encoded(json.dumps({'alg': 'HS256', 'kid': 'rsa'}).encode())}.{encoded(json.dumps(claims()).encode())}"
        )
        text = f"{message}.{encoded(hmac.digest(public, message.encode(), 'sha256'))}"

        assert refusal(verifier, text) == "algorithm"

    def test_a_key_of_another_kind(self, verifier: Verifier) -> None:
        assert refusal(verifier, token("ES256", headers={"kid": "rsa"})) == "algorithm"

    def test_an_unknown_key(self, verifier: Verifier) -> None:
        assert refusal(verifier, token(headers={"kid": "other"})) == "unknown key"
        assert refusal(verifier, signed('{"alg":"RS256"}', json.dumps(claims()))) == "unknown key"

    def test_another_issuers_key(self, verifier: Verifier) -> None:
        text = jwt.encode(claims(), rsa_key(2048, 1), "RS256", headers={"kid": "rsa"})

        assert refusal(verifier, text) == "signature"

    @pytest.mark.parametrize("part", [0, 1, 2])
    def test_a_tampered_token(self, verifier: Verifier, part: int) -> None:
        parts = token().split(".")
        for position in (0, len(parts[part]) // 2, len(parts[part]) - 1):
            for character in "AQg_-":
                tampered = parts[part][:position] + character + parts[part][position + 1 :]
                if tampered != parts[part]:
                    with pytest.raises(Exception, match=r"."):
                        verifier.verify(bearer(".".join([*parts[:part], tampered, *parts[part + 1 :]])), 0)

    def test_a_signature_of_another_message(self, verifier: Verifier) -> None:
        first, second = token(sub="alice").split("."), token(sub="bob").split(".")

        assert refusal(verifier, ".".join([*first[:2], second[2]])) == "signature"

    @pytest.mark.parametrize("iat", [("now", -601), None])
    def test_a_lifetime_beyond_the_limit(self, settings: JwtSettings, iat: object) -> None:
        verifier = Verifier(settings._replace(max_lifetime_seconds=900), FixedKeys(keys_of(key_set(rsa_entry()))))

        assert verifier.verify(bearer(token(iat=("now", -590))), 0)
        assert refusal(verifier, token(iat=iat, exp=("now", 301))) == "lifetime"

    def test_nothing_of_a_wrong_form_has_a_key_looked_up(self, settings: JwtSettings) -> None:
        keys = FixedKeys({})
        with pytest.raises(RefusedError):
            Verifier(settings, keys).verify(bearer("a.b"), 0)
        with pytest.raises(RefusedError):
            Verifier(settings, keys).verify(bearer(token(headers={"typ": "x"})), 0)

        assert keys.asked == []


class TestSecrets:
    """Tokens signed with a shared secret."""

    def test_both_versions_of_the_secret_count(self, settings: JwtSettings) -> None:
        old, new = SECRET, SECRET[::-1]
        verifier = Verifier(settings, Secrets(new, old))

        for secret in (old, new):
            text = jwt.encode(claims(), secret, "HS256", headers={"kid": "anything"})
            assert verifier.verify(bearer(text), 0).subject == "alice"
            assert refusal(verifier, jwt.encode(claims(exp=1), secret, "HS256")) == "expired"
        assert refusal(verifier, jwt.encode(claims(), SECRET[1:] + b"x", "HS256")) == "signature"

    def test_a_short_secret_never_verifies(self, settings: JwtSettings) -> None:
        text = token()
        message = ".".join([encoded(b'{"alg":"HS256"}'), text.split(".")[1]])
        verifier = Verifier(settings, Secrets(b"short"))

        signature = encoded(hmac.digest(b"short", message.encode(), "sha256"))
        assert refusal(verifier, f"{message}.{signature}") == "unreadable"

    def test_other_algorithms_do_not_exist(self, settings: JwtSettings) -> None:
        verifier = Verifier(settings, Secrets(SECRET * 2))

        assert refusal(verifier, jwt.encode(claims(), SECRET * 2, "HS512")) == "algorithm"
        assert refusal(verifier, token()) == "algorithm"


def test_the_form_is_checked_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch, verifier: Verifier) -> None:
    monkeypatch.setattr(base64, "urlsafe_b64decode", lambda _text: pytest.fail("decoded"))

    assert refusal(verifier, "a" * 8193) == "form"
