"""Limits kept or broken, and regressions named in sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration_tests.harness.faults.rule_book import Count
from integration_tests.report.comparison import compare
from integration_tests.report.documents import DocumentError
from integration_tests.report.judgement import judge
from integration_tests.report.limits import Limit, Limits, LimitsError, Tolerance
from integration_tests.report.subject import Subject
from integration_tests.report.tests.examples import example, example_run

OUR_LIMITS = Path(__file__).parents[1] / "limits.toml"


def outcome(path: str, limit: Limit, *, lose: bool = False, slow: float = 1.0, busy: bool = False) -> tuple[str, bool]:
    """Judge the example run by one limit; return the check's outcome and the run's."""
    document = judge(example(lose=lose, slow=slow, busy=busy), Limits({path: limit}))
    return document["checks"][0]["outcome"], document["passed"]


def test_a_limit_that_holds_passes() -> None:
    assert outcome("invariants.lost", Limit(at_most=0)) == ("passed", True)
    assert outcome("connects.success_ratio", Limit(at_least=0.8)) == ("passed", True)


def test_a_broken_limit_fails_the_run() -> None:
    assert outcome("invariants.lost", Limit(at_most=9), lose=True) == ("failed", False)
    assert outcome("connects.success_ratio", Limit(at_least=0.81)) == ("failed", False)


def test_an_unmeasured_metric_fails_unless_the_limit_is_optional() -> None:
    assert outcome("comparison.regressions", Limit(at_most=0)) == ("failed", False)
    assert outcome("comparison.regressions", Limit(at_most=0, optional=True)) == ("unmeasured", True)


@pytest.mark.parametrize(("protocol", "outcomes"), [({}, []), ({"protocol": "v1"}, ["unmeasured"])])
def test_a_run_in_text_mode_lacks_no_returns(protocol: dict[str, str], outcomes: list[str]) -> None:
    document = example()
    document["recovery"] = None
    document["parameters"] |= protocol
    limits = Limits({"recovery.wrong": Limit(at_most=0, optional=True)})
    assert [check["outcome"] for check in judge(document, limits)["checks"]] == outcomes
    asked = judge(document, Limits({"recovery.wrong": Limit(at_most=0)}))["checks"]
    assert [check["outcome"] for check in asked] == ["failed"]


def test_a_saturated_client_is_not_read_as_a_slow_server() -> None:
    slow = Limit(at_most=10)
    assert outcome("latency.p99_ms", slow) == ("failed", False)
    assert outcome("latency.p99_ms", slow, busy=True) == ("undecided", True)
    assert outcome("latency.p99_ms", Limit(at_most=1000), busy=True) == ("passed", True)
    assert outcome("latency.saturated_share", Limit(at_most=0), busy=True) == ("failed", False)
    assert outcome("invariants.lost", Limit(at_most=0), lose=True, busy=True) == ("failed", False)


def test_checks_are_sentences() -> None:
    limits = Limits({"invariants.lost": Limit(at_most=0), "latency.p99_ms": Limit(at_most=20, at_least=1)})
    sentences = [check["sentence"] for check in judge(example(lose=True), limits)["checks"]]
    assert sentences == [
        "Lost deliveries: 10 instead of at most 0.",
        "Delivery latency p99: 39.0 ms instead of at least 1.00 ms and at most 20.0 ms.",
    ]


def test_our_own_limits_judge_a_good_and_a_bad_run() -> None:
    limits = Limits.load(OUR_LIMITS)
    failed = {check["metric"] for check in judge(example(lose=True), limits)["checks"] if check["outcome"] == "failed"}
    assert {"invariants.lost", "invariants.duplicated", "invariants.unexpected", "functions.errors"} <= failed
    failed = {check["metric"] for check in judge(example(), limits)["checks"] if check["outcome"] == "failed"}
    assert failed == {"connects.success_ratio", "departures.items_left"}


COUNTED = {path: limit for path, limit in Limits.load(OUR_LIMITS).limits.items() if path != "comparison.regressions"}


@pytest.mark.parametrize("path", COUNTED)
def test_a_saturated_client_excuses_nothing_that_our_own_limits_are_about(path: str) -> None:
    limit, (part, name) = COUNTED[path], path.split(".")
    document = example(busy=True)
    document[part][name] = limit.at_least - 1 if limit.at_most is None and limit.at_least is not None else 1_000

    [check] = judge(document, Limits({path: limit}))["checks"]
    assert (check["outcome"], document["latency"]["saturated"]) == ("failed", True)


@pytest.mark.parametrize(
    ("slow", "outcome", "sentence"),
    [
        (
            2.0,
            "worse",
            "Delivery latency p99 rose from 49.0 ms to 98.0 ms (+100 %), which is 36.8 ms more than allowed.",
        ),
        (0.5, "better", "Delivery latency p99 fell from 49.0 ms to 24.5 ms (-50 %)."),
        (1.2, "same", "Delivery latency p99 rose from 49.0 ms to 58.8 ms (+20 %)."),
        (1.0, "same", "Delivery latency p99 is 49.0 ms again."),
    ],
)
def test_what_changed_is_said_in_a_sentence(slow: float, outcome: str, sentence: str) -> None:
    comparison = compare(example(slow=slow), example(), {"latency.p99_ms": Tolerance(share=0.25, least=5)})
    [change] = comparison["changes"]
    assert (change["outcome"], change["sentence"]) == (outcome, sentence)
    assert comparison["regressions"] == (outcome == "worse")


def test_small_numbers_may_differ_by_chance() -> None:
    comparison = compare(example(slow=2.0), example(), {"latency.p99_ms": Tolerance(share=0.25, least=50)})
    assert comparison["regressions"] == 0


def test_more_of_a_good_thing_is_no_regression() -> None:
    worse, better = example(), example()
    worse["connects"]["per_second"] = 40.0
    tolerances = {"connects.per_second": Tolerance(share=0.25)}
    assert compare(worse, better, tolerances)["changes"][0]["outcome"] == "worse"
    assert compare(better, worse, tolerances)["changes"][0]["outcome"] == "better"


def test_a_saturated_client_decides_no_regression() -> None:
    for now, before in ((example(slow=2.0, busy=True), example()), (example(slow=2.0), example(busy=True))):
        comparison = compare(now, before, {"latency.p99_ms": Tolerance()})
        assert comparison["changes"][0]["outcome"] == "undecided"
        assert "says nothing about the server" in comparison["changes"][0]["sentence"]
        assert comparison["regressions"] == 0


def test_a_regression_from_zero_has_no_percentage() -> None:
    [change] = compare(example(lose=True), example(), {"invariants.lost": Tolerance()})["changes"]
    assert change["sentence"] == "Lost deliveries rose from 0 to 10, which is 10 more than allowed."


def test_runs_of_other_parameters_or_targets_are_not_compared() -> None:
    now, before = example(slow=9.0), example()
    before["parameters"]["sockets"] = 400
    before["run"]["target"] = "live"
    comparison = compare(now, before, {"latency.p99_ms": Tolerance()})
    assert comparison["not_comparable"] == [
        "run target was 'live' and is 'local'",
        "parameter sockets was 400 and is 4",
    ]
    assert (comparison["changes"], comparison["regressions"]) == ([], None)


def test_runs_that_could_not_be_compared_are_not_taken_for_runs_without_regressions() -> None:
    now, before = example(slow=9.0), example()
    before["parameters"]["sockets"] = 400
    limit = Limits({"comparison.regressions": Limit(at_most=0, optional=True)}, {"latency.p99_ms": Tolerance()})

    assert judge(now, limits=limit, previous=before)["checks"][0]["outcome"] == "unmeasured"


@pytest.mark.parametrize("regressions", [{}, {"departures.gone_max_ms": Tolerance()}])
def test_comparison_of_no_metric_is_not_taken_for_one_without_regressions(regressions: dict[str, Tolerance]) -> None:
    before, now = example(), example(slow=50.0)
    for document in (before, now):
        document["departures"]["gone_max_ms"] = None
    limits = Limits({"comparison.regressions": Limit(at_most=0)}, regressions)

    judged = judge(now, limits, before)

    assert [check["sentence"] for check in judged["checks"]] == [
        "Regressions since the previous run: not measured; should be at most 0."
    ]
    assert not judged["passed"]


def test_report_of_an_earlier_version_can_be_compared() -> None:
    before = example()
    del before["not_shown"], before["run"]["command"], before["run"]["host"]
    for name in ("unsent", "late", "altered", "reordered", "receipts_counted", "receipts_wrong"):
        del before["invariants"][name]

    comparison = judge(example(), Limits.load(OUR_LIMITS), before)["comparison"]

    assert comparison["not_comparable"] == []
    assert "latency.p99_ms" in {change["metric"] for change in comparison["changes"]}


def test_run_that_shows_nothing_breaks_every_limits_file_that_does_not_say_otherwise(tmp_path: Path) -> None:
    nothing = example()
    nothing["invariants"] |= {"acknowledged": 0, "delivered": 0}
    strict, lax = tmp_path / "strict.toml", tmp_path / "lax.toml"
    strict.write_text('[limits]\n"invariants.lost" = { at_most = 0 }\n')
    lax.write_text(
        '[limits]\n"invariants.acknowledged" = { at_least = 0 }\n"invariants.delivered" = { at_least = 0 }\n'
    )

    failed = {
        check["metric"] for check in judge(nothing, Limits.load(strict))["checks"] if check["outcome"] == "failed"
    }

    assert failed == {"invariants.acknowledged", "invariants.delivered"}
    assert judge(nothing, Limits.load(lax))["passed"]


@pytest.mark.parametrize(
    ("subject", "outcomes"),
    [(None, []), (Subject("clients", 4, 4), ["passed"]), (Subject("clients", 4, 3), ["failed"])],
)
def test_run_without_what_its_scenario_is_about_breaks_every_limits_file(
    subject: Subject | None, outcomes: list[str], tmp_path: Path
) -> None:
    run, file = example_run(), tmp_path / "limits.toml"
    run.subject = subject
    file.write_text('[limits]\n"invariants.lost" = { at_most = 0 }\n')

    for limits in (Limits.load(file), Limits.load(OUR_LIMITS)):
        checks = judge(run.document(), limits)["checks"]
        assert [check["outcome"] for check in checks if check["metric"] == "subject.share"] == outcomes


@pytest.mark.parametrize(
    ("counts", "failed"),
    [
        ([Count("r", "reset", "before", 9, 0)], ["injected.struck"]),
        ([Count("r", "reset", "before", 0, 0)], ["injected.struck", "injected.unmatched"]),
        ([Count("r", "reset", "before", 9, 1), Count("s", "reset", "before", 0, 0)], ["injected.unmatched"]),
        ([Count("r", "reset", "before", 9, 1), Count("s", "reset", "before", 9, 0)], []),
        ([], []),
    ],
)
def test_run_whose_faults_did_not_strike_breaks_every_limits_file(
    counts: list[Count], failed: list[str], tmp_path: Path
) -> None:
    run, file = example_run(), tmp_path / "limits.toml"
    run.faults = counts
    file.write_text('[limits]\n"invariants.lost" = { at_most = 0 }\n')

    for limits in (Limits.load(file), Limits.load(OUR_LIMITS)):
        checks = [each for each in judge(run.document(), limits)["checks"] if each["metric"].startswith("injected.")]
        assert [each["metric"] for each in checks if each["outcome"] == "failed"] == failed
        assert len(checks) == (2 if counts else 0)  # a run without faults has nothing to say about them


def test_what_an_earlier_report_did_not_measure_is_not_passed() -> None:
    old = example()
    del old["invariants"]["altered"]

    [check] = judge(old, Limits({"invariants.altered": Limit(at_most=0)}))["checks"]

    assert (check["outcome"], check["sentence"]) == ("failed", "Altered deliveries: not measured; should be at most 0.")


def test_versions_that_changed_are_named() -> None:
    before = example()
    before["versions"] = {"python": "3.11.7", "terraform": "1.11.4"}
    versions = compare(example(), before, {})["versions"]
    assert versions == [
        {"name": "commit", "before": None, "now": "0a1b2c3"},
        {"name": "terraform", "before": "1.11.4", "now": None},
    ]


def test_a_regression_can_break_a_limit() -> None:
    limits = Limits({"comparison.regressions": Limit(at_most=0)}, {"latency.p99_ms": Tolerance(0.25)})
    assert judge(example(), limits, example())["passed"]
    assert not judge(example(slow=2.0), limits, example())["passed"]


def test_documents_of_another_format_are_refused() -> None:
    with pytest.raises(DocumentError, match="expected a report of format 1, not 2"):
        judge(example(), Limits(), previous={**example(), "format": 2})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[limits", "limits.toml is not TOML"),
        ("[limit]", "unknown table limit; allowed are limits and regressions"),
        ('[limits]\n"latency.p98_ms" = { at_most = 1 }', "limits: unknown metric 'latency.p98_ms'; allowed are"),
        ('[limits]\n"latency.p99_ms" = { max = 1 }', "'latency.p99_ms' must be a table of at_most, at_least"),
        ('[regressions]\n"latency.p99_ms" = 1', "must be a table of share, least (numbers from 0 on), not 1"),
        ("limits = 5", "limits must be a table of metrics, not 5"),
        *(
            (f'[limits]\n"invariants.lost" = {entry}', "limits: 'invariants.lost' must be a table of at_most, at_least")
            for entry in (
                *("{}", "{ optional = true }", '{ at_most = "0" }', "{ at_most = true }", "{ at_least = nan }"),
                *("{ at_most = inf }", "{ at_most = [0] }", '{ at_most = 0, optional = "no" }', "0"),
            )
        ),
        *(
            (f'[regressions]\n"latency.p99_ms" = {entry}', "regressions: 'latency.p99_ms' must be a table of share")
            for entry in ('{ share = "x" }', "{ least = nan }", "{ share = -1 }", "{ share = true }")
        ),
    ],
)
def test_a_limits_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(LimitsError) as caught:
        Limits.load(path)
    assert sentence in str(caught.value)


def test_a_limits_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(LimitsError, match=r"limits\.toml is not TOML"):
        Limits.load(path)
