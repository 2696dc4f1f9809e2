"""Load runs of ``roomcast.v1`` tell miniature stages right: each that is wrong is red, by exactly its limit."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from integration_tests.load.__main__ import main
from integration_tests.load.tests.miniatures import miniature, served
from integration_tests.load.tests.remembering import REMEMBERING
from scripts.waiting import TIMEOUT_FACTOR

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

AT_ONCE = 4
"""Runs at the same time: most of each is waiting."""
SIZE = ["--connections", "12", "--connect-rate", "0", "--quiet", "0.5", "--patience", "60", "--late-after", "60"]
IMPATIENT = ["--patience", "5", "--late-after", "5"]
"""For stages that leave something out: their runs wait for so long."""
STEADY = ["--protocol", "v1", "--messages", "30", "--rate", "100"]
JOIN = ["--protocol", "v1", "--scenario", "join-storm", "--messages", "60", "--rate", "30"]
RECONNECT = ["--protocol", "v1", "--scenario", "reconnect-storm", "--messages", "120", "--rate", "30"]
RESUME = ["--scenario", "resume-storm", "--messages", "120", "--rate", "30", "--outage", "0.2"]
ROLLOVER = ["--scenario", "rollover", "--messages", "30", "--rate", "30", "--lifetime", "2"]
SOAK = ["--protocol", "v1", "--scenario", "soak", "--duration", "5", "--lifetime", "10", "--rate", "20"]
STORM = [
    *("--protocol", "v1", "--scenario", "reconnect-storm", "--messages", "120", "--rate", f"{10 / TIMEOUT_FACTOR:g}"),
    *("--late-after", "2"),
]
"""All clients leave after four seconds, as ``TIMEOUT_FACTOR`` scales them, when the first messages are late."""
RETRY = ["--scenario", "retry-storm", "--messages", "30", "--rate", "30"]


class Case(NamedTuple):
    """A run: the stage, the options, and the limits that it breaks."""

    stage: str
    options: list[str]
    broken: set[str]


def case(stage: str, options: list[str], *broken: str) -> Case:
    return Case(stage, options, {name if "." in name else f"invariants.{name}" for name in broken})


CASES = [
    case("remembering", STEADY),
    case("remembering", RECONNECT),
    case("remembering", RESUME),
    case("remembering", ROLLOVER),
    case("remembering", RETRY),
    *(case("posts-late", options) for options in (STEADY, RECONNECT, RESUME, ROLLOVER, RETRY)),
    case("posts-half", [*STEADY, "--patience", "12", "--late-after", "12"], "receipts_wrong"),
    case("far-numbers", RESUME),
    case("attended", RESUME),
    case("swallows-until-the-storm", STORM, "late"),
    case("forgetful", [*RESUME, *IMPATIENT], "lost"),
    case("forgets-one", [*RESUME, *IMPATIENT], "lost"),
    case("replays-twice", RESUME, "duplicated"),
    case("pessimist", RESUME, "recovery.wrong"),
    case("keeps-nothing", STEADY),
    case("keeps-nothing", RECONNECT),
    case("keeps-nothing", SOAK),
    # Without numbers, nothing shows that the rooms went on while clients were away.
    case("keeps-nothing", RESUME, "subject.share"),
    case("refuses-some-joins", STEADY, "connects.success_ratio"),
    case("refuses-some-joins", JOIN, "connects.success_ratio", "subject.share"),
    case("deaf-heirs", [*RESUME, *IMPATIENT], "lost"),
    case("closes-early", ROLLOVER, "broken"),
    case("kicks-in-the-end", STEADY, "broken"),
    case("takes-out-in-the-end", STEADY, "broken"),
    case("stores-twice", RETRY, "duplicated"),
    case("answers-twice", RETRY, "receipts_repeated"),
    case("claims-duplicates", STEADY, "receipts_wrong"),
    case("claims-duplicates", RETRY, "receipts_wrong"),
    case("further-receipts", STEADY, "receipts_repeated"),
    case("further-receipts", RETRY, "receipts_repeated"),
    case("ignores-copies", [*RETRY, *IMPATIENT], "subject.share"),
    case("posts-twice", STEADY, "duplicated"),
    case("error-besides-receipt", STEADY, "unexpected"),
    case("internal-server-error-besides", STEADY, "unexpected"),
    *(
        case(stage, STEADY, "unexpected")
        for stage in ("joins-elsewhere", "joins-again", "presence-elsewhere", "members-unasked", "pongs-elsewhere")
    ),
    case("misnumbers", STEADY, "receipts_wrong"),
    case("wrong-envelope", STEADY, "altered"),
    case("one-name", STEADY, "altered"),
    case("borrows-names", STEADY, "altered"),
    case("bare-texts", STEADY, "unexpected"),
    case("own-numbers", STEADY, "altered"),
    case("shared-numbers", STEADY, "altered"),
    case("direct-without-room", STEADY, "unexpected"),
    case("echoes-token-of-v1", STEADY, "unexpected", "receipts_unknown", "altered"),
    case("backwards", [*STEADY, "--messages", "24", "--rate", "15"], "reordered"),
    case("remembering", [*RESUME, "--messages", "1"], "subject.share"),
]


class Outcome(NamedTuple):
    """The end of a run: its exit status and its report."""

    status: int
    report: dict[str, Any]

    @property
    def broken(self) -> set[str]:
        return {check["metric"] for check in self.report["checks"] if check["outcome"] == "failed"}


def run(stage: str, options: list[str], directory: Path) -> Outcome:
    with served(REMEMBERING[stage]()) as url:
        return run_against(url, options, directory)


def run_against(url: str, options: list[str], directory: Path) -> Outcome:
    status = main(["run", "--target", "live", "--websocket-url", url, "--report-dir", str(directory), *SIZE, *options])
    [file] = directory.glob("load-*-live.json")
    return Outcome(status, json.loads(file.read_text()))


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


@pytest.mark.parametrize("example", CASES, ids=name_of)
def test_stage_breaks_exactly_this_limit(example: Case, outcomes: dict[str, Future[Outcome]]) -> None:
    outcome = outcomes[name_of(example)].result()

    assert outcome.broken == example.broken, (outcome.report["invariants"], outcome.report["recovery"])
    assert outcome.status == bool(example.broken)


def test_gaps_that_clients_healed_are_counted(tmp_path: Path) -> None:
    assert run("posts-late", STEADY, tmp_path).report["recovery"]["healed"] > 0


def test_every_stage_is_told() -> None:
    assert {example.stage for example in CASES} == {*REMEMBERING}


def test_rooms_that_keep_nothing_recover_nothing(tmp_path: Path) -> None:
    with miniature("refuse") as url:
        outcome = run_against(url, [*RESUME, *IMPATIENT], tmp_path)

    assert "subject.share" in outcome.broken
