"""Nothing that a stage sends back brings the token, or texts of others, into what a run writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness import credentials
from integration_tests.load.__main__ import main
from integration_tests.load.tests.miniatures import EchoesToken, served
from integration_tests.load.tests.remembering import EchoesTokenOfV1

if TYPE_CHECKING:
    from pathlib import Path

    from integration_tests.load.tests.miniatures import Healthy

PARTS = ("head-of-a-token", "claims-of-a-token" * 10, "signature-of-a-token")
OPTIONS = ["--connections", "4", "--rooms", "2", "--messages", "4", "--connect-rate", "0", "--quiet", "0.5"]


@pytest.fixture(params=[EchoesToken, EchoesTokenOfV1], ids=lambda stage: stage.name)
def echoing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Healthy:
    """A stage that sends the token back; its clients have one."""
    monkeypatch.setenv(credentials.STAGE, "")  # which runs set, and the end of the test undoes
    monkeypatch.setenv(credentials.TOKEN, ".".join(PARTS))
    stage: Healthy = request.param()
    return stage


def test_token_that_a_stage_sends_back_is_written_nowhere(
    echoing: Healthy, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    protocol = ["--protocol", "v1" if echoing.subprotocols else "text"]
    with served(echoing) as url:
        options = ["--target", "live", "--websocket-url", url, "--report-dir", str(tmp_path)]
        assert main(["run", *options, *protocol, *OPTIONS]) == 1

    written = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    output = capfd.readouterr()
    assert len(written) == 3
    for part in PARTS[1:]:
        assert [name for name, text in {**written, "out": output.out, "err": output.err}.items() if part in text] == []
    report = json.loads(written["load-steady-live.json"])
    assert f"answer: {credentials.HIDDEN}" in [event["label"] for event in report["events"]]
    for finding in ("unexpected", "receipts unknown", "altered"):
        examples = [each for each in report["invariants"]["examples"] if each.startswith(finding)]
        shown = "characters with the checksum" if finding == "unexpected" else "<hidden"
        assert any(shown in each for each in examples)
