"""`scripts.account` names the account before Terraform changes it, or says why it cannot."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING

import pytest

from scripts import account
from scripts.account import describe, main
from scripts.terraform import TerraformError, common, outputs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.without_target

IDENTITY = b"""\
<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:user/somebody</Arn><UserId>AIDA</UserId><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>
"""
DENIED = b"<ErrorResponse><Error><Code>ExpiredToken</Code><Message>it has expired</Message></Error></ErrorResponse>"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment with credentials and a Region, and no other AWS setting."""
    environment = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


@pytest.fixture(params=[(200, IDENTITY)])
def sts(request: pytest.FixtureRequest, machine: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A fake STS on this machine; the environment's endpoint URL names it."""
    status, body = request.param

    class Sts(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sts) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        machine["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", machine["AWS_ENDPOINT_URL"])
        yield machine["AWS_ENDPOINT_URL"]
        server.shutdown()
        thread.join()


def test_account_region_and_endpoint_are_named(machine: dict[str, str], sts: str) -> None:
    assert describe(machine) == [
        "  account    123456789012 (as arn:aws:iam::123456789012:user/somebody)",
        "  Region     eu-central-1",
        f"  endpoint   {sts} (on this machine: an emulator, no AWS account)",
    ]


def test_endpoint_of_one_service_is_named_too(machine: dict[str, str], sts: str) -> None:
    lines = describe(machine | {"AWS_ENDPOINT_URL_DYNAMODB": "http://db.example"})

    assert sts in lines[2]
    assert lines[3:] == ["  endpoint   AWS_ENDPOINT_URL_DYNAMODB=http://db.example"]


@pytest.mark.parametrize("sts", [(403, DENIED), (200, b"welcome"), (200, b"<a/>")], indirect=True)
def test_refused_question_leaves_the_account_unknown(machine: dict[str, str], sts: str) -> None:
    account, region, endpoint = describe(machine)

    assert account.startswith("  account    unknown: ")
    assert region == "  Region     eu-central-1"
    assert sts in endpoint


def test_without_credentials_the_account_is_unknown(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
        del machine[name]

    assert main() == 0

    title, account, region, endpoint = capsys.readouterr().out.splitlines()
    assert title == "Terraform is about to talk to"
    assert account == "  account    unknown: Unable to locate credentials"
    assert region == "  Region     not set: set AWS_REGION"
    assert endpoint.startswith("  endpoint   https://sts.")


def test_profile_that_does_not_exist_is_a_sentence(machine: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")

    assert describe(machine)[0] == "  account    unknown: The config profile (mine) could not be found"


def test_region_of_the_profile_counts(machine: dict[str, str], sts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    del machine["AWS_REGION"]
    with open(machine["AWS_CONFIG_FILE"], "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write("[default]\nregion = ap-south-1\n")

    assert describe(machine)[1:2] == ["  Region     ap-south-1"], sts


STAGE = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/live"


def test_another_region_than_the_states_is_refused(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with_outputs({"stage_execution_arn": {"value": STAGE}}, tmp_path, monkeypatch)

    assert (machine["AWS_REGION"], main(["--same-region"])) == ("eu-central-1", 2)

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("account: the backend in the state is in the Region eu-west-1, and the environment")
    assert printed.err.endswith("set AWS_REGION=eu-west-1\n")


def test_the_states_region_no_region_and_a_state_without_a_backend_are_not_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Without a Region Terraform fails by itself, and without a backend there is nothing to destroy."""
    with_outputs({}, tmp_path, monkeypatch)
    assert main(["--same-region"]) == 0
    with_outputs({"stage_execution_arn": {"value": STAGE}}, tmp_path, monkeypatch)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert main(["--same-region"]) == 0
    monkeypatch.delenv("AWS_REGION")
    assert main(["--same-region"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_region_of_a_profile_is_compared(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_outputs({"stage_execution_arn": {"value": STAGE}}, tmp_path, monkeypatch)
    monkeypatch.delenv("AWS_REGION")
    for region, status in (("ap-south-1", 2), ("eu-west-1", 0)):
        with open(machine["AWS_CONFIG_FILE"], "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"[default]\nregion = {region}\n")
        assert main(["--same-region"]) == status


def test_a_state_that_cannot_be_read_is_not_destroyed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreadable() -> str:
        raise TerraformError("the outputs cannot be read")

    monkeypatch.setattr(account, "applied_region", unreadable)

    assert main(["--same-region"]) == 2
    assert capsys.readouterr().err == "account: the outputs cannot be read\n"


def with_outputs(values: dict[str, object], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Terraform be a program that prints the outputs of a state."""
    (folder / "outputs.json").write_text(json.dumps(values), encoding="utf-8")
    terraform = folder / "terraform"
    terraform.write_text(f'#!/bin/sh\n[ "$2 $3" = "output -json" ] && cat {folder}/outputs.json\n', encoding="utf-8")
    terraform.chmod(0o755)
    monkeypatch.setattr(outputs, "executable", lambda: str(terraform))
    monkeypatch.setattr(common, "CONFIGURATION", folder)
