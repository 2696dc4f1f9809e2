"""Variables that a developer gives `make up`, and tokens for its stack."""

from __future__ import annotations

import base64
import json
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.local import access_token, chosen
from scripts.local.minting import SharedSecret, encoded, signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SECRET = "a secret of more than 32 bytes, which signs nothing but tests"
ARN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:chat-a1B2c3"
WANTED = {
    "ROOMCAST_JWT_ISSUER": '["https://id.example.com/","https://other.example.com/"]',
    "ROOMCAST_JWT_AUDIENCE": '["chat"]',
    "ROOMCAST_JWT_AUDIENCE_CLAIM": "client_id",
    "ROOMCAST_JWT_SUBJECT_CLAIM": "username",
    "ROOMCAST_JWT_ROOMS_CLAIM": "groups",
    "ROOMCAST_JWT_SECRET_ARN": ARN,
}


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], []),
        (["-var", "pace=5"], ["-var=pace=5"]),
        (["--var", "pace=5", "-var=http2=false"], ["-var=pace=5", "-var=http2=false"]),
        (["-var", 'tags={a="b c"}'], ['-var=tags={a="b c"}']),
        (["-var-file=/etc/chat.tfvars"], ["-var-file=/etc/chat.tfvars"]),
    ],
)
def test_options_that_set_variables_are_read(arguments: Sequence[str], options: Sequence[str]) -> None:
    given, others = chosen.read([*arguments, "-refresh=false"])
    assert (list(given.options), others) == (list(options), ["-refresh=false"])


def test_a_file_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given, _ = chosen.read(["-var-file", "chat.tfvars"])
    assert given.options == [f"-var-file={tmp_path / 'chat.tfvars'}"]


@pytest.mark.parametrize("option", ["-var", "-var-file"])
def test_an_option_needs_its_value(option: str) -> None:
    with pytest.raises(ValueError, match="needs a value"):
        chosen.read(["-var=a=b", option])


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ([], None),
        (["-var=authorization_type=JWT"], "JWT"),
        (["-var=authorization_type = JWT"], "JWT"),
        (['-var=authorization_type="JWT"'], "JWT"),
        (["-var=authorization_type=JWT", "-var=authorization_type=NONE"], "NONE"),
        (["-var=authorization_type=JWT", "-var=authorization_type=null"], None),
        (["-var=xauthorization_type=JWT"], None),
        (["-var-file=a.tfvars"], "JWT"),
        (["-var-file=a.tfvars", "-var=authorization_type=CUSTOM"], "CUSTOM"),
        (["-var=authorization_type=CUSTOM", "-var-file=b.tfvars.json"], "JWT"),
        (["-var-file=unset.tfvars"], None),
        (["-var-file=absent.tfvars", "-var-file=broken.tfvars.json"], None),
    ],
)
def test_the_last_option_counts(
    options: Sequence[str], value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tfvars").write_text('pace = 5\n\tauthorization_type   =  "JWT" # tokens\n')
    (tmp_path / "b.tfvars.json").write_text('{"authorization_type": "JWT", "pace": 5}')
    (tmp_path / "unset.tfvars").write_text('# authorization_type = "JWT"\nauthorization_type = null\n')
    (tmp_path / "broken.tfvars.json").write_text("{")
    assert chosen.Chosen(options).value("authorization_type") == value


class Emulator:
    """Lambda and Secrets Manager, as far as they are asked for."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.endpoint_url = "http://127.0.0.1:1"
        self.functions = SimpleNamespace(get_function_configuration=self._configuration)
        self.session = SimpleNamespace(client=lambda *_, **__: SimpleNamespace(get_secret_value=self._secret))
        self._environment = environment

    def _configuration(self, FunctionName: str) -> Any:  # noqa: N803 - boto3's name
        assert FunctionName == "chat-authorizer"
        return {"Environment": {"Variables": self._environment}}

    def _secret(self, SecretId: str) -> Any:  # noqa: N803 - boto3's name
        assert SecretId == ARN
        return {"SecretString": SECRET}


def token(environment: Mapping[str, str], *arguments: str) -> str:
    """A token for a stack whose authorizer has this environment."""
    outputs = {"function_arns": {"authorizer": "chat-authorizer"}}
    return access_token.token(Emulator(environment), outputs, *arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "subject", "rooms", "lifetime"),
    [
        ([], "alice", ["*"], 3600),
        (["--subject", "bob", "--rooms", "lobby,team-*", "--lifetime", "60"], "bob", ["lobby", "team-*"], 60),
        (["--rooms", '{"lobby":["join"]}'], "alice", {"lobby": ["join"]}, 3600),
        (["--rooms", ""], "alice", [], 3600),
    ],
)
def test_a_token_is_what_the_authorizer_wants(
    arguments: Sequence[str], subject: str, rooms: object, lifetime: int
) -> None:
    before = int(time.time())
    made = token(WANTED, *arguments)
    claims = json.loads(base64.urlsafe_b64decode(made.split(".")[1] + "=="))
    issued = claims.pop("iat")
    assert before <= issued <= time.time()
    assert claims == {
        "iss": "https://id.example.com/",
        "client_id": "chat",
        "username": subject,
        "groups": rooms,
        "exp": issued + lifetime,
    }
    message = made.rpartition(".")[0]
    assert made == f"{message}.{encoded(SharedSecret(SECRET.encode()).sign(message.encode()))}"


def test_there_is_none_without_a_secret_or_where_none_is_wanted() -> None:
    with pytest.raises(access_token.NoTokenError, match="ask their owner"):
        token({"ROOMCAST_JWT_JWKS_URL": "https://id.example.com/keys"})
    with pytest.raises(access_token.NoTokenError, match="without a token"):
        access_token.token(Emulator({}), {"function_arns": {}})  # type: ignore[arg-type]


def test_the_header_names_the_keys_algorithm() -> None:
    header = signed(SharedSecret(b"secret"), {}).split(".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "typ": "JWT"}
