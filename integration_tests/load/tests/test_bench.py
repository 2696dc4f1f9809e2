"""The fan-out benchmark, against a stage in miniature."""

from __future__ import annotations

import http
import itertools
import json
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.ledger import Tally, Verdict
from integration_tests.load import bench_results
from integration_tests.load.__main__ import main
from integration_tests.load.tests.miniatures import Healthy, miniature, served
from integration_tests.load.tests.stages import running_stage

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

IMPATIENCE = "4"
"""Seconds that a run waits for what a stage leaves out, and that a busy machine has for a handshake."""


def run(url: str, file: Path, *options: str) -> int:
    return main(["bench", "--target", "live", "--websocket-url", url, "--output", str(file), *options])


def test_result_says_how_long_each_size_of_room_took(
    stage_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench" / "result.json"

    status = run(stage_url, file, "--sizes", "5", "40", "--messages", "3", "--connect-rate", "1000")

    document = json.loads(file.read_text())
    assert status == 0
    assert (document["format"], document["benchmark"]) == (1, "fan-out")
    assert document["parameters"] == {"sizes": [5, 40], "messages": 3, "characters": 256}
    for size, room in zip((5, 40), document["rooms"], strict=True):
        assert (room["members"], room["messages"]) == (size, 3)
        assert (room["lost"], room["duplicated"], room["unexpected"]) == (0, 0, 0)
        medians = [room[name]["median"] for name in ("first_ms", "median_ms", "last_ms")]
        assert 0 < medians[0] <= medians[1] <= medians[2] <= room["last_ms"]["worst"]
        assert room["deliveries_per_second"] == pytest.approx(1_000 * size / room["last_ms"]["median"], rel=0.2)
    assert stage_url not in file.read_text()
    assert "deliveries/s" in capsys.readouterr().out


def test_lost_messages_are_in_the_result_and_in_the_exit_status(tmp_path: Path) -> None:
    file = tmp_path / "result.json"

    with running_stage("--lose", "1") as url:
        status = run(url, file, "--sizes", "5", "--messages", "1", "--patience", IMPATIENCE)

    [room] = json.loads(file.read_text())["rooms"]
    assert status == 1
    assert (room["lost"], room["unsent"], room["messages"]) == (5, 1, 0)
    assert (room["cold_ms"], room["last_ms"], room["deliveries_per_second"]) == (None, None, None)


@pytest.mark.parametrize(
    ("stage", "wrong"),
    [
        ("mute", {"unanswered", "lost", "unsent"}),
        ("error", {"failed", "lost", "unsent"}),
        ("internal-server-error", {"failed", "lost", "unsent"}),
        ("half", {"unanswered", "lost", "unsent"}),
        ("no-receipt", {"unanswered", "unsent"}),
        ("echo", {"lost", "unsent"}),
        ("cut", {"altered"}),
        ("duplicate", {"duplicated"}),
        ("wrong-receipt", {"receipts_wrong"}),
        ("receipt-of-failures", {"failed"}),
        ("second-receipt", {"receipts_repeated"}),
        ("unknown-receipt", {"receipts_unknown"}),
        ("error-besides", {"unexpected"}),
        ("healthy", set()),
    ],
)
def test_benchmark_of_a_stage_says_what_was_wrong_with_it(
    stage: str, wrong: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"

    with miniature(stage) as url:
        status = run(
            url, file, "--sizes", "4", "--messages", "7", "--patience", IMPATIENCE if "unsent" in wrong else "30"
        )

    [room] = json.loads(file.read_text())["rooms"]
    printed = capsys.readouterr().out
    assert {name for name in bench_results.WRONG if room[name]} == wrong, printed
    assert status == bool(wrong)
    assert all(f"{room[name]} {name.replace('_', ' ')}" in printed for name in wrong)


def test_receipts_that_do_not_come_are_not_called_messages_that_do_not_come(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"

    with miniature("no-receipt") as url:
        assert run(url, file, "--sizes", "4", "--messages", "3", "--patience", IMPATIENCE) == 1

    [room] = json.loads(file.read_text())["rooms"]
    assert (room["lost"], room["unanswered"], room["unsent"]) == (0, 1, 3)
    assert "no receipt and no error came" in capsys.readouterr().out


@pytest.mark.parametrize(("stage", "reason"), [("refuse", "403"), ("hang", "timeout")])
def test_benchmark_of_a_stage_that_lets_nobody_in_ends_in_a_sentence(
    stage: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with miniature(stage) as url:
        status = run(
            url, tmp_path / "result.json", "--sizes", "4", "--patience", "1" if reason == "timeout" else IMPATIENCE
        )

    error = capsys.readouterr().err
    assert status == 2
    assert error == f"no client could connect: 4 {reason}\n"


class RefuseLater(Healthy):
    """Refuses some handshakes, counted from 1, with status 429."""

    name = "refuse-later"

    def __post_init__(self) -> None:
        self.handshakes = itertools.count(1)
        self.refused: Container[int] = ()

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:  # noqa: ARG002
        if next(self.handshakes) in self.refused:
            return connection.respond(http.HTTPStatus.TOO_MANY_REQUESTS, "")
        return None


@pytest.mark.parametrize(
    ("handshakes", "refusals", "measured"),
    [
        ([7], [{}, {"429": 1}, {}], [True, False, True]),
        ([*range(5, 9)], [{}, {"429": 4}, {}], [True, False, True]),
        ([1], [{"429": 1}, {}, {}], [False, True, True]),
    ],
)
def test_room_that_a_client_could_not_enter_is_not_measured_and_the_others_are(
    handshakes: list[int],
    refusals: list[dict[str, int]],
    measured: list[bool],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, stage = tmp_path / "result.json", RefuseLater()
    stage.refused = handshakes

    with served(stage) as url:
        status = run(url, file, "--sizes", "4", "4", "4", "--messages", "3")

    rooms = json.loads(file.read_text())["rooms"]
    assert status == 1
    assert [room["refused"] for room in rooms] == refusals
    assert [(room["last_ms"] is not None, room["messages"], room["unsent"]) for room in rooms] == [
        (True, 3, 0) if each else (False, 0, 4) for each in measured
    ]
    [count] = [refused["429"] for refused in refusals if refused]
    assert f"4  not measured: refused handshakes: {count} 429\n" in capsys.readouterr().out


def test_the_first_message_counts_as_cold_and_in_no_other_time() -> None:
    cold = bench_results.Flight([5.0, 6.0], receipt=7.0, cpu=1.0)
    warm = bench_results.Flight([0.1, 0.2], receipt=0.3, cpu=0.0)
    verdict = Verdict(Tally(attempted=2, acknowledged=2), {}, {}, members=2, broken=0, examples=[])

    room = bench_results.result_of(2, [cold, warm], verdict)

    assert (room["messages"], room["cold_ms"], room["client_saturated"]) == (1, 6_000.0, False)
    for name, milliseconds in {"first_ms": 100.0, "median_ms": 100.0, "last_ms": 200.0, "receipt_ms": 300.0}.items():
        assert room[name] == {"median": milliseconds, "worst": milliseconds}
    assert room["deliveries_per_second"] == 10.0


def test_a_room_in_which_nothing_was_measured_is_not_clean() -> None:
    clean = {**dict.fromkeys(bench_results.WRONG, 0), "last_ms": {"median": 1.0, "worst": 1.0}}
    assert bench_results.is_clean(clean)
    assert not bench_results.is_clean({**clean, "last_ms": None})
    for finding in bench_results.WRONG:
        assert not bench_results.is_clean({**clean, finding: 1})
