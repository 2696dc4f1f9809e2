"""The live target reads a URL or Terraform's outputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from integration_tests.targets.catalogue import create_target
from integration_tests.targets.interface import Capability, TargetError

if TYPE_CHECKING:
    from pathlib import Path

URL = "wss://abc.execute-api.eu-central-1.amazonaws.com/live"
ENDPOINT = URL.replace("wss", "https")
VALUES = {
    "websocket_url": URL,
    "management_endpoint": ENDPOINT,
    "connections_table_arn": "arn:aws:dynamodb:eu-central-1:111122223333:table/chat",
    "connections_table_name": "chat",
    "shards_per_room": 1,
    "log_group_names": {"connect": "/aws/lambda/chat-connect"},
}


@pytest.fixture(autouse=True)
def _no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's shell may have sourced build/stack/env."""
    monkeypatch.delenv("ROOMCAST_MANAGEMENT_ENDPOINT", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A file with the output of `terraform output -json`."""
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({name: {"sensitive": False, "value": value} for name, value in VALUES.items()}))
    return file


def test_url_alone_is_a_black_box() -> None:
    with create_target("live", URL) as target:
        assert target.deployment.websocket_url == URL
        assert target.aws is None
        assert "--outputs" in target.lacks()[Capability.TABLE]


def test_outputs_give_url_table_region_and_management_api(outputs: Path) -> None:
    with create_target("live", outputs_file=outputs) as target:
        assert target.deployment.websocket_url == URL
        assert target.deployment.management_endpoint == ENDPOINT
        assert target.deployment.outputs["connections_table_name"] == "chat"
        assert target.aws is not None
        assert target.aws.session.region_name == "eu-central-1"
        assert Capability.TABLE not in target.lacks()


def test_stage_with_a_queue_gives_receipts_without_counts(outputs: Path, tmp_path: Path) -> None:
    queued = tmp_path / "queued.json"
    queue = {"value": "https://sqs.eu-central-1.amazonaws.com/111122223333/chat-fanout"}
    queued.write_text(json.dumps({**json.loads(outputs.read_text()), "fanout_queue_url": queue}))

    assert Capability.COUNTED_RECEIPTS in create_target("live", outputs_file=queued).lacks()
    assert Capability.COUNTED_RECEIPTS not in create_target("live", outputs_file=outputs).lacks()


def test_outputs_that_are_not_handed_on_are_named_where_they_are_missed(outputs: Path, tmp_path: Path) -> None:
    """A configuration around the modules may have outputs of its own choice."""
    fewer = tmp_path / "fewer.json"
    values = json.loads(outputs.read_text())
    fewer.write_text(json.dumps({name: values[name] for name in ("websocket_url", "connections_table_arn")}))

    lacks = create_target("live", outputs_file=fewer).lacks()

    assert "connections_table_name, shards_per_room" in lacks[Capability.TABLE]
    assert "log_group_names" in lacks[Capability.LOGS]
    assert "sendmessage_function_arn" in lacks[Capability.METRICS]


@pytest.mark.parametrize("url", [f"{URL}?token=swordfish", ENDPOINT, "localhost", "ws://example.com/live"])
def test_what_is_no_stages_url_is_refused_wherever_it_comes_from(outputs: Path, url: str) -> None:
    values = json.loads(outputs.read_text())
    outputs.write_text(json.dumps({**values, "websocket_url": {"value": url}}))

    for arguments in ((url,), (None, outputs)):
        with pytest.raises(TargetError) as refusal:
            create_target("live", *arguments)
        assert "swordfish" not in str(refusal.value)


def test_unknown_profile_is_named(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody-s")

    with pytest.raises(TargetError, match="nobody-s"):
        create_target("live", outputs_file=outputs)


def test_unknown_target_is_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(TargetError, match="'mars'; there are live, local, localstack, running"):
        create_target("mars")


def test_given_url_is_preferred_to_the_one_in_the_outputs(outputs: Path) -> None:
    assert create_target("live", "ws://127.0.0.1:1/live", outputs).deployment.websocket_url == "ws://127.0.0.1:1/live"


def test_nothing_is_ever_deployed(outputs: Path) -> None:
    with create_target("live", outputs_file=outputs) as target:
        for deploy in (target.deploy, target.deploy_to_stay):
            with pytest.raises(TargetError, match="never changed"):
                deploy("second")


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", '{"websocket_url": "wss://x"}', '{"websocket_url": {}}', "[" * 100_000),
        *(f'{{"shards_per_room": {{"value": {number}}}}}' for number in ("NaN", "1e999", "9" * 400)),
    ],
    ids=lambda content: content[:40],
)
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(content)

    with pytest.raises(TargetError, match="does not hold the output of `terraform output -json`"):
        create_target("live", outputs_file=file)


@pytest.mark.parametrize(
    ("name", "value"), [("log_group_names", ["a"]), ("shards_per_room", "1"), ("connections_table_name", 5)]
)
def test_outputs_of_another_form_are_refused(outputs: Path, name: str, value: object) -> None:
    outputs.write_text(json.dumps({each: {"value": found} for each, found in {**VALUES, name: value}.items()}))

    with pytest.raises(TargetError, match=f"does not hold the outputs of a stage of Roomcast: {name} has another form"):
        create_target("live", outputs_file=outputs)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"nowhere\.json"):
        create_target("live", outputs_file=tmp_path / "nowhere.json")


def test_no_stage_at_all_is_refused() -> None:
    with pytest.raises(TargetError, match="--websocket-url"):
        create_target("live")


def test_stage_for_another_target_is_refused() -> None:
    with pytest.raises(TargetError, match="--target live"):
        create_target("local", URL)
