"""Clients towards AWS or an emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import DataNotFoundError, EndpointConnectionError

from scripts.local import emulator
from scripts.local.aws import Aws
from scripts.local.deployment import terraform_environment
from scripts.local.emulator import Emulator
from scripts.tests.trees import write_tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "settings",
    [
        {"AWS_CONFIG_FILE": "broken"},
        {"AWS_SHARED_CREDENTIALS_FILE": "broken"},
        {"HOME": "home"},
        {"AWS_RETRY_MODE": "typo"},
        {"AWS_DEFAULTS_MODE": "typo"},
        {"AWS_MAX_ATTEMPTS": "many"},
        {"AWS_PROFILE": "typo"},
    ],
    ids=",".join,
)
def test_settings_of_this_machine_do_not_count_for_an_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    write_tree(
        tmp_path, {"broken": "[default\n", "home/.aws/config": "[default\n", "home/.aws/credentials": "[default\n"}
    )
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    client = Aws.of_emulator("http://127.0.0.1:9").s3

    assert client.meta.region_name == "us-east-1"
    assert not terraform_environment("http://127.0.0.1:9").items() & settings.items() - {("HOME", "home")}


@pytest.mark.parametrize(
    ("error", "is_silence"),
    [(EndpointConnectionError(endpoint_url="x"), True), (DataNotFoundError(data_path="sts"), False)],
)
def test_an_error_of_this_machine_is_not_taken_for_an_emulators_silence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, is_silence: bool
) -> None:
    def fail(_: Aws) -> str:
        raise error

    monkeypatch.setattr(emulator, "answers", lambda _: True)
    monkeypatch.setattr(Aws, "account", fail)

    if is_silence:
        assert not Emulator(9, "123456789012").is_running()
    else:
        with pytest.raises(type(error)):
            Emulator(9, "123456789012").is_running()


def test_no_invocation_is_repeated_while_the_function_runs() -> None:
    """A function may run for 15 minutes (https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html)."""
    client = Aws.of_emulator("http://127.0.0.1:9").functions
    assert client.meta.config.read_timeout >= 15 * 60  # type: ignore[attr-defined] # botocore sets it
