"""Key sets, and endpoints that misbehave."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from roomcast import kept, signing_keys
from roomcast.kept import ReadError, UnavailableError
from roomcast.signing_keys import SigningKeys, keys_of
from tests import corpus
from tests.fuzzing import fuzz, json_values
from tests.hostile_server import (
    HANG_UP,
    PATIENCE_SECONDS,
    HostileServer,
    Reply,
    answer,
    say,
    server_tls,
    trusted_tls,
)
from tests.issuers import ec_entry, encoded, key_set, number, rsa_entry, rsa_key

GOOD = key_set(rsa_entry(), ec_entry())


def keys_at(server: HostileServer, path: str = "/jwks.json", stale_seconds: float = 3600) -> SigningKeys:
    url = server.url.replace("localhost", "127.0.0.1").removesuffix("/live")
    return SigningKeys(url + path, stale_seconds, is_loopback_allowed=True)


def find(keys: SigningKeys, key_id: str | None = "rsa") -> list[str]:
    return [key.algorithm for key in keys.find(key_id, time.monotonic() + PATIENCE_SECONDS)]


def hostile_entries() -> st.SearchStrategy[dict[str, Any]]:
    """Entries of a key set: keys with other values in some of their members, and any objects."""
    members = ["kty", "kid", "n", "e", "x", "y", "crv", "alg", "use", "key_ops", "d", "k"]
    known = ["RSA", "EC", "oct", "P-256", "RS256", "ES256", "sig", "AQAB", "", "a", ["verify"]]
    values = st.sampled_from(known) | st.binary(max_size=40).map(encoded) | json_values()
    bases = st.sampled_from([rsa_entry("a"), ec_entry("b"), {"kty": "RSA"}, {"kty": "EC", "crv": "P-256"}, {}])
    changes = st.lists(st.tuples(st.sampled_from(members), values), min_size=1, max_size=4)
    return st.builds(lambda base, changed: {**base, **dict(changed)}, bases, changes)


class TestEntries:
    """Which entries of a key set count."""

    @pytest.mark.parametrize(
        "entry",
        [
            rsa_entry("a"),
            rsa_entry("a", alg="RS256", use="sig", key_ops=["verify"]),
            rsa_entry("a", key_ops=["verify", "wrapKey"], x5c=["ignored"], x5u=5, n2="x"),
            rsa_entry("a", bits=4096),
            ec_entry("a"),
            ec_entry("a", alg="ES256", use="sig"),
            rsa_entry("a" * 1000),
        ],
    )
    def test_these_count(self, entry: dict[str, Any]) -> None:
        found = keys_of(key_set(entry, rsa_entry("b", index=1)))

        assert set(found) == {entry["kid"], "b"}
        assert found[entry["kid"]].algorithm == ("RS256" if entry["kty"] == "RSA" else "ES256")

    @pytest.mark.parametrize(
        "entry",
        [
            "text",
            None,
            [],
            {},
            rsa_entry(None),
            rsa_entry(""),
            rsa_entry(5),
            rsa_entry(["a"]),
            {name: value for name, value in rsa_entry().items() if name != "kid"},
            rsa_entry("a", alg="RS512"),
            rsa_entry("a", alg="HS256"),
            rsa_entry("a", alg="none"),
            rsa_entry("a", alg=None),
            rsa_entry("a", alg="ES256"),
            rsa_entry("a", use="enc"),
            rsa_entry("a", use=None),
            rsa_entry("a", key_ops=["sign"]),
            rsa_entry("a", key_ops=[]),
            rsa_entry("a", key_ops="verify"),
            rsa_entry("a", key_ops={"verify": 1}),
            rsa_entry("a", kty="rsa"),
            rsa_entry("a", kty="oct"),
            rsa_entry("a", kty="EC"),
            rsa_entry("a", n=None),
            rsa_entry("a", n=""),
            rsa_entry("a", n="!!!"),
            rsa_entry("a", n="A"),
            rsa_entry("a", n=5),
            rsa_entry("a", e=encoded(b"\x00")),
            rsa_entry("a", e=encoded(b"\x01")),
            rsa_entry("a", e=encoded(b"\x02")),
            rsa_entry("a", e=number(2**3000 + 1)),
            rsa_entry("a", n=number(2**1024 + 1)),
            rsa_entry("a", n=number(2**2047 - 1)),
            rsa_entry("a", n=number(2**4096 + 1)),
            rsa_entry("a", n=number(2**100_000 + 1)),
            ec_entry("a", crv="P-384"),
            ec_entry("a", crv="secp256k1"),
            ec_entry("a", alg="ES384"),
            ec_entry("a", alg="RS256"),
            ec_entry("a", kty="OKP", crv="Ed25519"),
            ec_entry("a", x=encoded(b"\x01" * 32)),
            ec_entry("a", x=encoded(b"\x00" * 32), y=encoded(b"\x00" * 32)),
            ec_entry("a", x=encoded(b"\xff" * 32)),
            ec_entry("a", x=encoded(b"\x01" * 31)),
            ec_entry("a", y=encoded(b"\x01" * 33)),
        ],
    )
    def test_others_are_skipped(self, entry: object) -> None:
        assert set(keys_of(key_set(entry, ec_entry("b")))) == {"b"}

    def test_keys_of_1024_bits_are_skipped(self) -> None:
        numbers = rsa.generate_private_key(65_537, 1024).public_key().public_numbers()  # noqa: S505 - the case
        assert keys_of(key_set(rsa_entry("a", n=number(numbers.n)))) == {}

    def test_points_of_other_curves_are_skipped(self) -> None:
        numbers = ec.generate_private_key(ec.SECP256K1()).public_key().public_numbers()
        assert keys_of(key_set(ec_entry("a", x=number(numbers.x, 32), y=number(numbers.y, 32)))) == {}

    @pytest.mark.parametrize("member", sorted(signing_keys.PRIVATE_MEMBERS))
    def test_published_private_keys_are_an_error_that_tells_their_number(
        self, member: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        planted = "cHJpdmF0ZQ"
        entries = [
            {**rsa_entry("secret-id"), member: planted},
            {"kty": "oct", "kid": "o", "k": planted, "alg": "HS256"},
        ]

        assert set(keys_of(key_set(*entries, ec_entry()))) == {"ec"}
        line = json.loads(output := capsys.readouterr().out)
        assert (line["level"], line["message"], line["keys"]) == ("ERROR", "private_keys_published", 2)
        assert planted not in output
        assert "secret-id" not in output

    @pytest.mark.parametrize("other", [rsa_entry("a", index=1), ec_entry("a"), rsa_entry("a", use="enc"), {"kid": "a"}])
    def test_an_id_on_two_entries_names_neither(self, other: dict[str, Any]) -> None:
        assert set(keys_of(key_set(rsa_entry("a"), other, ec_entry("b")))) == {"b"}

    def test_a_hundred_keys_are_the_most(self) -> None:
        entries = [{**ec_entry(), "kid": str(index)} for index in range(101)]

        assert len(keys_of(key_set(*entries[:100]))) == 100
        with pytest.raises(ReadError, match="too many"):
            keys_of(key_set(*entries))

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"<html>",
            b"[]",
            b"null",
            b"{}",
            b'{"keys":null}',
            b'{"keys":{}}',
            b'{"keys":"a"}',
            b'{"keys":[],"keys":[]}',
            b"\xff\xfe",
            b'{"keys":' + b"[" * 100_000,
            b'{"keys":[NaN]}',
        ],
    )
    def test_anything_else_is_no_key_set(self, data: bytes) -> None:
        with pytest.raises(ReadError):
            keys_of(data)

    @fuzz
    @given(st.lists(hostile_entries(), max_size=3))
    @corpus.known(corpus.ENTRIES)
    def test_hostile_entries_are_skipped(self, entries: list[dict[str, Any]]) -> None:
        assert "good" in keys_of(key_set(*entries, rsa_entry("good")))

    @fuzz
    @given(st.binary() | json_values().map(json.dumps).map(str.encode) | json_values().map(key_set))
    @corpus.known(corpus.KEY_SETS)
    def test_hostile_bytes_are_no_key_set_or_one_without_keys(self, data: bytes) -> None:
        with contextlib.suppress(ReadError):
            assert keys_of(data) == {}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "login.example.com/jwks",
        "http://login.example.com/jwks",
        "http://127.0.0.2/jwks",
        "http://127.0.0.1.example.com/jwks",
        "http://[::1]/jwks",
        "https://user@login.example.com/jwks",
        "https://user:password@login.example.com/jwks",
        "https://login.example.com",
        "https://login.example.com/jwks#fragment",
        "https://login.example.com/jw ks",
        "https://login.example.com/\r\nX: y",
        "https://login.example.com:0/jwks",
        "https://login.example.com:65536/jwks",
        "https://login.example.com:/jwks",
        "https://lögin.example.com/jwks",
        "https://login.example.com/jwkß",
        "https://evil.example.com\\@login.example.com/jwks",
        "file:///etc/passwd",
        "HTTPS://login.example.com/jwks",
    ],
)
def test_wrong_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL"):
        SigningKeys(url, 0, is_loopback_allowed=True)


def accepted_by_terraform() -> str:
    """The regular expression of the variable's validation."""
    text = (Path(__file__).parents[2] / "terraform/modules/backend/variables_identity.tf").read_text(encoding="utf-8")
    [pattern] = re.findall(r'can\(regex\("(.*)", var\.jwt_jwks_url\)\)', text)
    return str(json.loads(f'"{pattern}"'))


@given(st.from_regex(re.compile(accepted_by_terraform(), re.ASCII), fullmatch=True))
def test_urls_that_terraform_accepts_are_accepted(url: str) -> None:
    # Else each handshake would fail after an apply that succeeded.
    SigningKeys(url.removesuffix("\n"), 0, is_loopback_allowed=True)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080"])
def test_plain_http_needs_the_switch(host: str) -> None:
    SigningKeys(f"http://{host}/jwks", 0, is_loopback_allowed=True)
    with pytest.raises(ValueError, match="https"):
        SigningKeys(f"http://{host}/jwks", 0)


class TestEndpoint:
    """Real connections to endpoints that misbehave."""

    def test_keys_are_read_once(self) -> None:
        with HostileServer(lambda _: say(200, GOOD)) as server:
            keys = keys_at(server, "/tenant/keys?p=policy&x=%41")
            assert [find(keys), find(keys, "ec"), find(keys, "none"), find(keys, None)] == [
                ["RS256"],
                ["ES256"],
                [],
                [],
            ]
        assert [request.target for request in server.requests] == ["/tenant/keys?p=policy&x=%41"]
        assert server.requests[0].headers["host"] == f"127.0.0.1:{server.port}"
        assert "authorization" not in server.requests[0].headers

    @pytest.mark.parametrize(
        "pieces",
        [
            [answer(200, GOOD)],
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD)],
            [b"HTTP/1.1 100 Continue\r\n\r\n", answer(200, GOOD)],
        ],
    )
    def test_any_framing_will_do(self, pieces: list[bytes]) -> None:
        with HostileServer(lambda _: Reply(pieces)) as server:
            assert find(keys_at(server)) == ["RS256"]

    def test_an_answer_may_end_with_the_connection(self) -> None:
        with HostileServer(lambda _: Reply([b"HTTP/1.0 200 OK\r\n\r\n", GOOD], close=True)) as server:
            assert find(keys_at(server)) == ["RS256"]

    def test_256_kilobytes_are_the_most(self) -> None:
        padded = GOOD + b" " * (signing_keys.MAXIMUM_SET_BYTES - len(GOOD))
        with HostileServer(lambda _: say(200, padded)) as server:
            assert find(keys_at(server)) == ["RS256"]
        with HostileServer(lambda _: say(200, padded + b" ")) as server, pytest.raises(UnavailableError, match="large"):
            find(keys_at(server))

    @pytest.mark.parametrize(
        "reply",
        [
            say(301, GOOD, "Location: /elsewhere"),
            say(302, b"", "Location: https://evil.example.com/jwks"),
            say(307, GOOD, "Location: /elsewhere"),
            say(201, GOOD),
            say(206, GOOD),
            say(404, GOOD),
            say(429, b"", "Retry-After: 1"),
            say(500, GOOD),
            say(503),
            say(200, b"<html>maintenance</html>", "Content-Type: text/html"),
            say(200),
            say(200, GOOD[:-5]),
            say(200, b"\x1f\x8b" + GOOD, "Content-Encoding: gzip"),
            say(200, key_set()),
            say(200, key_set({"kty": "oct", "kid": "rsa", "k": "AAAA"})),
            HANG_UP,
            Reply([b"HTTP/1.1 200 OK\r\n"], close=True),
            Reply([b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"], close=True),
            Reply([answer(200, GOOD)[:-1]], reset=True),
            Reply([b"\x16\x03\x01 nonsense"], close=True),
            Reply([b"HTTP/1.1 200 OK\r\nContent-Length: 314572800\r\n\r\n"]),
            Reply([b"HTTP/1.1 101 Switching\r\n\r\n"]),
            Reply([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"]),
        ],
    )
    def test_a_wrong_answer_gives_no_keys(self, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kept, "RETRY_WITHOUT_SECONDS", 3600)
        with HostileServer(lambda _: reply) as server:
            keys = keys_at(server)
            for _ in range(5):
                with pytest.raises(UnavailableError):
                    find(keys)
        # Neither redirects nor retries.
        assert [request.target for request in server.requests] == ["/jwks.json"]

    @pytest.mark.parametrize(
        "pieces",
        [
            [],
            [b"HTTP/1.1 200 OK\r\n"],
            [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"{"],
        ],
    )
    def test_a_hanging_endpoint_costs_two_seconds_once(
        self, pieces: list[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kept, "RETRY_WITHOUT_SECONDS", 3600)
        monkeypatch.setattr(signing_keys, "FETCH_SECONDS", 0.2)
        with HostileServer(lambda _: Reply(pieces)) as server:
            keys = keys_at(server)
            for _ in range(5):
                with pytest.raises(UnavailableError, match="no answer"):
                    find(keys)
        assert len(server.requests) <= 1

    def test_an_attempt_ends_after_two_seconds_or_with_the_invocation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        deadlines: list[float] = []

        def fetch(_keys: SigningKeys, deadline: float) -> bytes:
            deadlines.append(deadline)
            return GOOD

        monkeypatch.setattr(SigningKeys, "_fetch", fetch)
        SigningKeys("https://login.example.com/jwks", 0).find("rsa", time.monotonic() + 1000)
        SigningKeys("https://login.example.com/jwks", 0).find("rsa", 5.0)

        assert deadlines[0] <= time.monotonic() + 2.0
        assert deadlines[1] == 5.0

    @pytest.mark.parametrize(
        ("head", "piece"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
            (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        ],
    )
    def test_a_slow_endpoint_cannot_stretch_the_limit(
        self, head: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(signing_keys, "FETCH_SECONDS", 0.2)
        ended = threading.Event()

        class Drip:
            def __iter__(self) -> Any:
                yield head
                while not ended.wait(0.01):
                    yield piece

        with HostileServer(lambda _: Reply(Drip())) as server:  # type: ignore[arg-type]
            try:
                with pytest.raises(UnavailableError, match="no answer"):
                    find(keys_at(server))
            finally:
                ended.set()

    @pytest.mark.parametrize(
        ("head", "piece"),
        [
            (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65_536),
            (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65_536),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 60_000 + b"\r\n \r\n"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000),
        ],
    )
    def test_an_endless_answer_is_cut_off(self, head: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        """By its size, not by time: a fast server would fill the memory within two seconds."""
        monkeypatch.setattr(signing_keys, "FETCH_SECONDS", PATIENCE_SECONDS)
        sent = [0]

        class Flood:
            def __iter__(self) -> Any:
                yield head
                while sent[0] < 100_000_000:
                    sent[0] += len(piece)
                    yield piece

        with HostileServer(lambda _: Reply(Flood())) as server, pytest.raises(UnavailableError, match="no answer"):  # type: ignore[arg-type]
            find(keys_at(server))
        assert sent[0] < 50_000_000

    def test_known_keys_are_used_while_the_endpoint_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        replies = iter([say(200, GOOD), say(500), HANG_UP])
        moved = [0.0]
        clock = time.time
        monkeypatch.setattr("time.time", lambda: clock() + moved[0])
        with HostileServer(lambda _: next(replies)) as server:
            keys = keys_at(server)
            for minutes in (0, 10, 11, 11.5):
                moved[0] = minutes * 60
                assert find(keys) == ["RS256"]
        assert len(server.requests) == 3

    def test_withdrawn_keys_are_gone_with_the_next_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        replies = iter([say(200, GOOD), say(200, key_set(ec_entry()))])
        moved = [0.0]
        clock = time.time
        monkeypatch.setattr("time.time", lambda: clock() + moved[0])
        with HostileServer(lambda _: next(replies)) as server:
            keys = keys_at(server)
            assert find(keys) == ["RS256"]
            moved[0] = 600
            assert find(keys) == []

    def test_an_unknown_id_has_the_set_read_again_once_a_minute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        published = [key_set(rsa_entry())]
        moved = [0.0]
        clock = time.time
        monkeypatch.setattr("time.time", lambda: clock() + moved[0])
        with HostileServer(lambda _: say(200, published[0])) as server:
            keys = keys_at(server)
            assert find(keys) == ["RS256"]
            published[0] = GOOD
            assert [find(keys, "ec") for _ in range(20)] == [[]] * 20
            moved[0] = 60
            assert find(keys, "ec") == ["ES256"]
            assert [find(keys, f"unknown {index}") for index in range(20)] == [[]] * 20
            moved[0] = 90
            assert find(keys, "unknown") == []
            assert len(server.requests) == 2
            moved[0] = 120
            assert find(keys, "unknown") == []
            # No id is no unknown id.
            moved[0] = 180
            assert find(keys, None) == []
        assert len(server.requests) == 3

    def test_the_systems_authorities_verify_the_certificate(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with HostileServer(lambda _: say(200, GOOD), trusted_tls(tmp_path, monkeypatch)) as server:
            assert find(keys_at(server)) == ["RS256"]

    @pytest.mark.parametrize("names", [("localhost", "127.0.0.1"), ("login.example.com",)], ids=["authority", "name"])
    def test_other_certificates_are_refused(
        self, names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trusted_tls(tmp_path, monkeypatch)
        tls = server_tls(trustme.CA(), *names)
        with HostileServer(lambda _: say(200, GOOD), tls) as server, pytest.raises(UnavailableError, match="no answer"):
            find(keys_at(server))
        assert server.requests == []

    def test_proxies_are_not_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with HostileServer(lambda _: say(200, GOOD)) as server, HostileServer(lambda _: HANG_UP) as proxy:
            for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            assert find(keys_at(server)) == ["RS256"]
        assert proxy.requests == []

    def test_nothing_that_listens(self) -> None:
        with HostileServer(lambda _: HANG_UP) as server:
            keys = keys_at(server)
        with pytest.raises(UnavailableError, match="no answer"):
            find(keys)

    def test_a_resolver_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(signing_keys, "FETCH_SECONDS", 0.2)
        released = threading.Event()
        monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_kwargs: released.wait(PATIENCE_SECONDS) and [])
        try:
            with pytest.raises(UnavailableError, match="no answer"):
                find(SigningKeys("https://login.example.com/jwks", 0))
        finally:
            released.set()


def test_only_the_text_of_a_key_matters() -> None:
    padded = base64.b64encode(b"\x00" + rsa_key().public_key().public_numbers().n.to_bytes(256))
    entry = rsa_entry("a", n=padded.decode().rstrip("=").translate(str.maketrans("+/", "-_")))

    assert keys_of(key_set(entry))["a"].key == rsa_key().public_key()
