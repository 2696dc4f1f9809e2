"""A run against a stage that cannot be tested ends within seconds with one sentence and status 4."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from botocore.exceptions import ClientError
from websockets.asyncio.server import ServerConnection, serve

from integration_tests.harness import credentials
from integration_tests.harness.table import ROOM_PREFIX
from integration_tests.targets.interface import Capability, TargetError
from integration_tests.targets.live import Live
from integration_tests.targets.probe import ANSWERED_WITHIN, HANDSHAKE_WITHIN, ProbeError, probe
from integration_tests.targets.tests.hostile import receipt, stage
from scripts.repository import REPOSITORY
from scripts.waiting import TOLD_AFTER, scaled

if TYPE_CHECKING:
    from pathlib import Path

UNUSABLE = {
    "hang": "did not answer the handshake within",
    "refuse": "refused the handshake with status 403",
    "http": "refused the handshake with status 200",
    "close": r"closed the connection \(code 1011\) when it was sent a message",
    "mute": "did not answer a message in full within .* nothing came",
    "no receipt": "did not answer a message in full within .* the message and no receipt came",
    "nothing but a receipt": "did not answer a message in full within .* a receipt came",
    "echo": 'answered a message with \'{"action"',
    "error": 'answered a message with \'{"error".*unavailable',
    "gateway error": 'answered a message with \'{"message".*Internal server error',
    "cut": "answered a message with 'probe ",
    "another's receipt": 'answered a message with \'{"receipt"',
    "duplicate": "twice in the same way",
    "two receipts": "twice in the same way",
}
PYTEST = """
import sys, pytest
from scripts import waiting
waiting.TOLD_AFTER = float(sys.argv[1])
sys.exit(pytest.main(sys.argv[2:]))
"""
IN_A_HURRY = 0.1
"""Timeout factor of runs that wait for their deadlines."""


class Run(NamedTuple):
    """A finished run of pytest.

    Attributes:
        status: Its exit status.
        output: Its output, errors included.
        seconds: How long it took.
    """

    status: int
    output: str
    seconds: float


async def pytest_against(url: str, *tests: str, told_after: float = TOLD_AFTER) -> Run:
    """Run tests, those of the routes if none are named, against a stage and in a process of their own."""
    options = ["-p", "no:cacheprovider", "--target", "live", "--websocket-url", url]
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PYTEST, str(told_after), *options, *(tests or ("integration_tests/routes",))),
        cwd=REPOSITORY,
        env={**os.environ, "TIMEOUT_FACTOR": f"{IN_A_HURRY * scaled(1):g}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return Run(process.returncode, output.decode(), time.monotonic() - began)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that never answers is waited for, so that wait is short."""
    monkeypatch.setattr("integration_tests.targets.probe.HANDSHAKE_WITHIN", HANDSHAKE_WITHIN * IN_A_HURRY)
    monkeypatch.setattr("integration_tests.targets.probe.ANSWERED_WITHIN", ANSWERED_WITHIN * IN_A_HURRY)


@pytest.mark.parametrize("kind", UNUSABLE)
async def test_stage_that_cannot_be_tested_is_described_in_a_sentence(kind: str) -> None:
    async with stage(kind) as url:
        with pytest.raises(ProbeError, match=UNUSABLE[kind]) as error:
            await probe(url, "room")

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("answered", [False, True])
async def test_probe_that_fails_leaves_no_connection_open(answered: bool) -> None:
    """Neither when the stage answers wrongly, nor when the look at its table fails."""
    gone = asyncio.Event()

    async def handle(connection: ServerConnection) -> None:
        try:
            async for data in connection:
                message = json.loads(data)
                for answer in [message["data"], receipt(message)] if answered else ["what?", "what?"]:
                    await connection.send(answer)
        finally:
            gone.set()

    async def look() -> None:
        raise ProbeError("is not the stage of this table")

    async with serve(handle, "127.0.0.1", 0) as server:
        with pytest.raises(ProbeError):
            await probe(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/live", "room", look)
        await asyncio.wait_for(gone.wait(), scaled(10))


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"id="}, None),
        (set(), "does not write to the table chat: the outputs are those of another stage"),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "Query"), "cannot be read with these credentials"),
    ],
    ids=["its own", "another's", "forbidden"],
)
async def test_table_in_the_outputs_must_be_the_one_that_the_stage_writes_to(
    members: set[str] | Exception, sentence: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class FakeTable:
        name = "chat"

        async def members(self, room: str) -> set[str]:
            asked.append(room)
            if isinstance(members, Exception):
                raise members
            return members

    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr("integration_tests.targets.live.ConnectionsTable.of_stage", lambda *_: FakeTable())
    arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/chat"
    async with stage("healthy") as url:
        values: dict[str, object] = {
            "websocket_url": url,
            "connections_table_arn": arn,
            "connections_table_name": "chat",
        }
        values |= {"shards_per_room": 1, "management_endpoint": "https://example.com/live"}
        outputs = tmp_path / "outputs.json"
        outputs.write_text(json.dumps({name: {"value": value} for name, value in values.items()}))
        with pytest.raises(TargetError, match=sentence) if sentence else contextlib.nullcontext():
            await asyncio.to_thread(Live(None, outputs).check)

    assert len(asked) == 1
    assert asked[0].startswith(ROOM_PREFIX)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:9/live", "wss://nowhere.invalid/live"])
async def test_host_that_cannot_be_reached_is_described_in_a_sentence(url: str) -> None:
    with pytest.raises(ProbeError, match="cannot be reached"):
        await probe(url, "room")


@pytest.mark.parametrize(("kind", "counted"), [("healthy", True), ("queued", False)])
async def test_receipt_shows_whether_there_is_a_queue(kind: str, counted: bool) -> None:
    async with stage(kind) as url:
        live = Live(url, None)
        await asyncio.to_thread(live.check)

    assert (Capability.COUNTED_RECEIPTS not in live.lacks()) is counted
    assert Capability.TABLE in live.lacks()


@pytest.mark.parametrize("kind", ["hang", "refuse", "mute", "error"])
async def test_run_against_it_ends_at_once_with_one_sentence_and_status_4(kind: str) -> None:
    async with stage(kind) as url:
        run = await pytest_against(url)

    (sentence,) = [line for line in run.output.splitlines() if line.startswith("ERROR")]
    assert sentence.startswith(f"ERROR: {url} ")
    assert sentence.endswith("no test was run")
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in run.output
    assert "passed" not in run.output
    assert run.seconds < scaled(20)


async def test_run_ends_with_its_report_when_the_stage_goes_away(tmp_path: Path) -> None:
    """Only the probe finds it in order. Each further test would fail as the first ones do, and cost its deadline."""
    report = tmp_path / "report.xml"
    async with stage("goes away") as url:
        run = await pytest_against(url, "integration_tests/routes", f"--junit-xml={report}")

    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert "the rest of the tests is left out: " in run.output
    assert f"{url} refused the handshake with status 503" in run.output
    assert 3 <= len(re.findall("^FAILED", run.output, re.MULTILINE)) <= 10
    assert "<failure" in report.read_text(encoding="utf-8")


async def test_run_in_which_every_test_is_skipped_is_red() -> None:
    async with stage("queued") as url:
        run = await pytest_against(url, "integration_tests/guarantees/test_paging.py")

    assert run.status == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "Not one test ran on the target 'live', so this run proves nothing." in run.output


async def test_run_without_a_test_of_the_stage_is_red_and_asks_no_stage() -> None:
    run = await pytest_against("ws://127.0.0.1:9/live", "integration_tests/harness/tests")

    assert run.status == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "passed" not in run.output


async def test_long_wait_is_told_on_the_terminal_while_it_lasts() -> None:
    """This stage answers no `whoami`, so the wait for it is one that ends at its deadline."""
    async with stage("healthy") as url:
        run = await pytest_against(url, "integration_tests/routes/test_whoami.py", told_after=0.1)

    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert re.search(
        r"^waiting for a message \(client :\d+ in room .*\): 0 s of at most \d+ s$", run.output, re.MULTILINE
    )


def test_sentence_that_quotes_the_stage_has_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(credentials.TOKEN, "a-token-that-is-sent-back")
    monkeypatch.setenv(credentials.STAGE, "wss://example.com/live")

    assert str(ProbeError("closed the connection (1008 a-token-that-is-sent-back)")).endswith("(1008 <hidden>)")
