"""The target `running` finds the stack of `make up`, or says how to start one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.targets.catalogue import create_target
from integration_tests.targets.interface import TargetError
from integration_tests.targets.running import DEPLOYMENT
from scripts.local.deployment import Deployment, describe_deployment
from scripts.local.emulator import free_port

if TYPE_CHECKING:
    from pathlib import Path

WRONG = {
    "missing": None,
    "empty": "",
    "no-object": "[1]",
    "no-endpoint": "{}",
    "deep": "[" * 100_000,
    "foreign": '{"endpoint_url": "x", "a": 1}',
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_without_a_stack_a_sentence_says_how_to_start_one(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "deployment.json"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv(DEPLOYMENT, str(file))

    with pytest.raises(TargetError, match="no stack is running: start one with `make up`"):
        create_target("running")


def test_stack_that_has_gone_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint_url = f"http://127.0.0.1:{free_port()}"
    deployment = Deployment("ws://127.0.0.1:1/live", None, {"connections_table_name": "roomcast-connections"})
    file = tmp_path / "deployment.json"
    file.write_text(describe_deployment(endpoint_url, deployment))
    monkeypatch.setenv(DEPLOYMENT, str(file))

    target = create_target("running")

    assert target.deployment == deployment
    with pytest.raises(TargetError, match=f"the stack at {endpoint_url} does not answer: start it again"):
        target.check()
