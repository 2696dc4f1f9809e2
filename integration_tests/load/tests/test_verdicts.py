"""Load runs tell miniature stages right: each that is wrong is red, by exactly the limits that it breaks."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from integration_tests.load.__main__ import main
from integration_tests.load.tests.miniatures import MINIATURES, miniature
from scripts.waiting import TIMEOUT_FACTOR, scaled

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

AT_ONCE = 4
"""Runs at the same time: most of each is waiting."""
SIZE = ["--connections", "12", "--messages", "30", "--rate", "100", "--connect-rate", "0", "--quiet", "0.5"]
PATIENT = ["--patience", "60", "--late-after", "60"]
"""For stages that deliver and answer everything: their runs end when all is there."""
IMPATIENT = ["--patience", "5", "--late-after", "5"]
"""For stages that leave something out: their runs wait for so long."""
WATCHFUL = ["--patience", "60", "--late-after", "1"]
RATES = ["--connect-rate", f"{5 / TIMEOUT_FACTOR:g}", "--rate", f"{10 / TIMEOUT_FACTOR:g}"]
JOINING = [*PATIENT, "--scenario", "join-storm", *RATES]
"""Clients come in for two seconds, as ``TIMEOUT_FACTOR`` scales them, while messages are sent."""
STORM = [
    *("--scenario", "reconnect-storm", "--messages", "80", "--rate", f"{10 / TIMEOUT_FACTOR:g}"),
    *("--patience", "9", "--late-after", "3"),
]
"""All clients leave after three seconds, as ``TIMEOUT_FACTOR`` scales them, or once what they have sent is late."""
DELAY = 2.0

NOTHING = {"invariants.acknowledged", "invariants.delivered"}
WITHOUT_EXAMPLES = {"connects.success_ratio", "connects.late", "invariants.broken", "subject.share"}
NOBODY = {"connects.success_ratio", "invariants.unsent", *NOTHING}


class Case(NamedTuple):
    """A run: the stage, the options, and the limits that it breaks."""

    stage: str
    options: list[str]
    broken: set[str]


def case(stage: str, *broken: str, options: list[str] = PATIENT) -> Case:
    return Case(stage, options, {f"invariants.{name}" for name in broken})


CASES = [
    case("healthy"),
    case("healthy", options=[*PATIENT, "--ordered"]),
    case("mute", "unanswered", "missing", "acknowledged", "delivered", options=IMPATIENT),
    case("error", "failed", "missing", "acknowledged", "delivered", options=IMPATIENT),
    case("internal-server-error", "failed", "missing", "acknowledged", "delivered", options=IMPATIENT),
    case("half", "unanswered", "missing", options=IMPATIENT),
    case("half-of-the-members", "lost", options=IMPATIENT),
    case("half-of-the-members-by-its-receipts", "lost", options=IMPATIENT),
    case("echo", "lost", options=IMPATIENT),
    case("not-the-sender", "lost", options=IMPATIENT),
    case("drop-seventh", "lost", options=IMPATIENT),
    case("forget", "lost", options=IMPATIENT),
    case("one-room", "unexpected", "receipts_wrong"),
    case("cut", "altered"),
    case("change", "altered"),
    case("append", "altered"),
    case("trim", "altered"),
    case("encode", "altered"),
    case("normalise", "altered"),
    case("quote", "altered"),
    case("swap", "altered"),
    case("slow", "late", options=WATCHFUL),
    case("slow-answers", "late", options=WATCHFUL),
    case("duplicate", "duplicated"),
    case("late-duplicate", "duplicated"),
    case("leak", "unexpected"),
    case("leak-once", "unexpected"),
    case("reorder"),  # no order is promised, unless a run says so
    case("reorder", "reordered", options=[*PATIENT, "--ordered"]),
    case("no-receipt", "unanswered", "acknowledged", options=IMPATIENT),
    case("wrong-receipt", "receipts_wrong"),
    case("receipt-of-too-many", "receipts_wrong"),
    case("receipt-of-gone", "receipts_wrong"),
    case("receipt-of-failures", "failed", "acknowledged"),
    case("receipt-without-counts", "receipts_wrong"),
    case("second-receipt", "receipts_repeated"),
    case("unknown-receipt", "receipts_unknown"),
    case("receipt-to-another", "receipts_unknown"),
    case("error-besides", "unexpected"),
    case("garbage", "unexpected"),
    case("hang-after-handshake", "unanswered", "missing", "acknowledged", "delivered", options=IMPATIENT),
    case("close-at-once", "broken", "unsent", "acknowledged", "delivered", options=IMPATIENT),
    case("no-text", "unexpected"),
    case("echoes-token", "unexpected", "receipts_unknown", "altered"),
    case("queued-and-counted", "receipts_wrong"),
    case("unprintable-error", "failed", "acknowledged"),
    case("old-on-join", "unexpected", options=JOINING),
    case("healthy", options=JOINING),
    case("mute-until-the-storm", "unanswered", options=STORM),
    Case("slow-handshake", WATCHFUL, {"connects.late"}),
    Case("redirect", PATIENT, NOBODY),
    Case("redirect-nowhere", PATIENT, NOBODY),
    Case("refuse-some", PATIENT, {"connects.success_ratio"}),
    Case("refuse", PATIENT, NOBODY),
    Case("hang", ["--patience", "1"], NOBODY),
    Case("refuse", [*PATIENT, "--scenario", "join-storm"], {*NOBODY, "subject.share"}),
    Case("hang", ["--patience", "1", "--scenario", "join-storm"], {*NOBODY, "subject.share"}),
]
AT_LEAST = [
    # How many messages and receipts the closing connections take with them is a matter of chance.
    case("close-after-some", "broken", "unsent", options=IMPATIENT),
    case("cut-off-after-some", "broken", "unsent", options=IMPATIENT),
]


class Outcome(NamedTuple):
    """The end of a run: its exit status, its report, and the names of the limits that JUnit shows as failed."""

    status: int
    report: dict[str, Any]
    junit: list[str]

    @property
    def broken(self) -> set[str]:
        return {check["metric"] for check in self.report["checks"] if check["outcome"] == "failed"}


def run(stage: str, options: list[str], directory: Path) -> Outcome:
    with miniature(stage, delay=scaled(DELAY)) as url:
        status = main(
            ["run", "--target", "live", "--websocket-url", url, "--report-dir", str(directory), *SIZE, *options]
        )
    [file] = directory.glob("load-*-live.json")
    report = json.loads(file.read_text())
    suite = ET.parse(file.with_suffix(".junit.xml"))  # noqa: S314 - our own text
    failed = [str(each.get("name")) for each in suite.iter("testcase") if each.find("failure") is not None]
    return Outcome(status, report, failed)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[Outcome]]:
    """The runs of all cases that were selected, several at the same time; all have ended."""
    cases = [
        item.callspec.params["example"]
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec") and "example" in item.callspec.params
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {
            name_of(each): pool.submit(run, each.stage, each.options, tmp_path_factory.mktemp(each.stage))
            for each in cases
        }


def name_of(example: Case) -> str:
    return f"{example.stage} {' '.join(example.options)}"


def sentences_of(outcome: Outcome, metric: str) -> list[str]:
    finding = metric.partition(".")[2].replace("_", " ")
    return [each for each in outcome.report["invariants"]["examples"] if each.startswith(f"{finding}: ")]


@pytest.mark.parametrize("example", CASES, ids=name_of)
def test_stage_breaks_exactly_these_limits(example: Case, outcomes: dict[str, Future[Outcome]]) -> None:
    outcome = outcomes[name_of(example)].result()

    assert outcome.broken == example.broken, outcome.report["invariants"]
    assert outcome.status == bool(example.broken)
    assert outcome.report["passed"] == (not example.broken)
    assert len(outcome.junit) == len(example.broken)
    for metric in example.broken - NOTHING - WITHOUT_EXAMPLES:
        assert sentences_of(outcome, metric), f"no example says what {metric} was"


@pytest.mark.parametrize("example", AT_LEAST, ids=name_of)
def test_stage_breaks_these_limits_and_maybe_others(example: Case, outcomes: dict[str, Future[Outcome]]) -> None:
    outcome = outcomes[name_of(example)].result()

    assert outcome.broken >= example.broken, outcome.report["invariants"]
    assert outcome.status == 1


def test_every_stage_is_told() -> None:
    assert {example.stage for example in (*CASES, *AT_LEAST)} == set(MINIATURES)


def test_times_in_examples_count_from_the_start_of_the_run(tmp_path: Path) -> None:
    outcome = run("drop-seventh", IMPATIENT, tmp_path)

    [time, *_] = [each.partition("sent at ")[2].partition(" s")[0] for each in sentences_of(outcome, "invariants.lost")]
    assert 0 < float(time) < outcome.report["run"]["duration_seconds"]


def test_run_in_one_room_says_that_it_cannot_show_a_leak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run("one-room", [*PATIENT, "--rooms", "1"], tmp_path)

    [sentence] = [each for each in outcome.report["not_shown"] if "leaks" in each]
    assert "all clients were in one room" in sentence
    assert f"not shown: {sentence}\n" in capsys.readouterr().out


def test_run_names_rooms_and_clients_that_sent_nothing(tmp_path: Path) -> None:
    outcome = run("healthy", [*PATIENT, "--rooms", "6", "--messages", "3"], tmp_path)

    silent = [each for each in outcome.report["not_shown"] if "(see --messages)" in each]
    assert [each.partition(":")[0] for each in silent] == [
        "Anything about 3 of 6 rooms",
        "Whether 9 of 12 clients can send",
    ]


def test_run_says_what_it_did_not_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run("healthy", PATIENT, tmp_path)

    outcomes = {check["metric"]: check["outcome"] for check in outcome.report["checks"]}
    unmeasured = {metric for metric, each in outcomes.items() if each == "unmeasured"}
    assert unmeasured == {
        "invariants.reordered",
        "departures.items_lacking",
        "departures.items_left",
        "functions.errors",
        "comparison.regressions",
    }
    assert set(outcomes.values()) == {"passed", "unmeasured"}
    assert (
        "not measured: reordered deliveries, items of connected clients that the table lacked, "
        "items left in the table, errors in the functions' logs"
    ) in capsys.readouterr().out
    assert any("table" in sentence for sentence in outcome.report["not_shown"])


def test_report_names_the_command_and_the_host(tmp_path: Path) -> None:
    outcome = run("healthy", PATIENT, tmp_path)

    command, host = outcome.report["run"]["command"], outcome.report["run"]["host"]
    assert command.startswith(f"python -m integration_tests.load run --target live --websocket-url ws://{host}/live ")
    assert host.startswith("127.0.0.1:")
